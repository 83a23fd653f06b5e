package signature

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A commit is taken apart strictly. Two programs that read one commit in two
// ways, say one with two trees, would make a signature worth nothing.
type commit struct {
	payload   []byte // what was signed: all but the signature
	signature string
	committed time.Time // by the committer's line
}

// headers that git writes, in its order; those that may be missing or repeated
// are marked. Others may stand between committer and the empty line.
const (
	headTree      = "tree"
	headParent    = "parent"
	headAuthor    = "author"
	headCommitter = "committer"
	headEncoding  = "encoding"
	headSignature = "gpgsig"
	headSHA256    = "gpgsig-sha256"
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// parse splits the stored bytes of a commit, gitformat-signature(5).
func parse(raw []byte) (commit, error) {
	var c commit
	var payload bytes.Buffer
	seen := map[string]bool{}
	last := "" // header of the line before
	size := 0  // of the names of objects: 40 for SHA-1, 64 for SHA-256
	for rest := raw; ; {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return c, malformed("its header has no end")
		}
		if len(line) == 0 { // the message follows
			payload.Write(rest)
			break
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return c, malformed("a NUL in its header")
		}
		rest = after
		if line[0] == ' ' {
			if last == "" {
				return c, malformed("its first line continues nothing")
			}
			if last == headSignature {
				c.signature += string(line[1:]) + "\n"
				continue
			}
			payload.Write(line)
			payload.WriteByte('\n')
			continue
		}
		name, value, _ := strings.Cut(string(line), " ")
		if err := inOrder(name, last, seen); err != nil {
			return c, err
		}
		seen[name] = true
		last = name
		switch name {
		case headTree, headParent:
			if size == 0 {
				size = len(value)
			}
			if size != 40 && size != 64 || len(value) != size || strings.Trim(value, "0123456789abcdef") != "" {
				return c, malformed("line %q names no object", name)
			}
		case headSignature:
			c.signature = value + "\n"
			continue
		case headCommitter:
			at, err := when(value)
			if err != nil {
				return c, err
			}
			c.committed = at
		}
		payload.Write(line)
		payload.WriteByte('\n')
	}
	if !seen[headCommitter] { // which stands behind the others that must be there
		return c, malformed("no line %q", headCommitter)
	}
	c.payload = payload.Bytes()
	return c, nil
}

// inOrder refuses a header that git would not write at this place.
func inOrder(name, last string, seen map[string]bool) error {
	var fits bool
	switch name {
	case headTree:
		fits = last == ""
	case headParent:
		fits = last == headTree || last == headParent
	case headAuthor:
		fits = last == headTree || last == headParent
	case headCommitter:
		fits = last == headAuthor
	case headSHA256:
		return malformed("a signature of its SHA-256 form, which is not what git shows here")
	case headEncoding, headSignature:
		fits = !seen[name]
	default:
		fits = true // none of the four above fits behind it
	}
	if !fits {
		return malformed("line %q at the wrong place", name)
	}
	return nil
}

// when reads the time in "NAME <EMAIL> SECONDS ZONE".
func when(value string) (time.Time, error) {
	_, tail, _ := strings.Cut(value, "> ")
	seconds, zone, _ := strings.Cut(tail, " ")
	unix, err := strconv.ParseUint(seconds, 10, 63)
	if err != nil || len(zone) != len("+0000") || strings.Trim(zone[:1], "+-") != "" || strings.Trim(zone[1:], "0123456789") != "" {
		return time.Time{}, malformed("its committer has no readable time")
	}
	return time.Unix(int64(unix), 0).UTC(), nil
}
