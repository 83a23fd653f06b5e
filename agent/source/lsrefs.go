package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/infra-agent/infra-agent/reconcile"
)

// answerBytes bounds the answer to one question: the wanted refs, and those whose
// names begin like them.
const answerBytes = 64 << 10

// errNoV2 says that a server does not speak version 2 of git's protocol, which
// alone can be asked for one ref (gitprotocol-v2(5)).
var errNoV2 = errors.New("the server does not answer git protocol version 2")

// A BusyError is a server's wish to be asked later.
type BusyError struct {
	Status string        `json:"status"`
	After  time.Duration `json:"after"` // at most an hour; 0: it did not say
}

func (e *BusyError) Error() string { return "the server is busy: " + e.Status }

// lsRefs asks a server which commits the branches point to: one request, on a
// connection that is kept, whatever number of refs there is.
func lsRefs(ctx context.Context, client *http.Client, remote Remote, b Branches) (Tips, error) {
	tips, err := askRefs(ctx, client, remote, b, b.refs())
	if errors.Is(err, ErrNoBranch) { // say which there is
		if _, more := askRefs(ctx, client, remote, b, append(b.refs(), head)); errors.Is(more, ErrNoBranch) {
			err = more
		}
	}
	return tips, err
}

// askRefs asks once. The refs are those of the branches, and perhaps [head].
func askRefs(ctx context.Context, client *http.Client, remote Remote, b Branches, refs []string) (Tips, error) {
	req, err := remote.request(ctx, http.MethodPost, strings.TrimSuffix(remote.URL, "/")+"/"+uploadPack, question(refs))
	if err != nil {
		return Tips{}, err
	}
	req.Header.Set("Git-Protocol", version2)
	resp, err := remote.do(client, req)
	if status, is := errors.AsType[*statusError](err); is {
		return Tips{}, fmt.Errorf("%w: status %s", errNoV2, status.status)
	}
	if err != nil {
		return Tips{}, err
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, answerBytes)
	defer io.Copy(io.Discard, body) //nolint:errcheck // what is left over must be read for the connection to be kept
	return tipsIn(body, b)
}

// question encodes the command ls-refs for refs, each as a prefix; of
// [head], also its target.
func question(refs []string) *bytes.Buffer {
	var b bytes.Buffer
	e := pktline.NewEncoder(&b) // a bytes.Buffer takes everything
	_ = e.EncodeString("command=ls-refs\n", "agent=infra-agent\n", "object-format=sha1")
	b.WriteString("0001") // the delimiter between capabilities and arguments
	for _, ref := range refs {
		_ = e.EncodeString("ref-prefix " + ref + "\n")
	}
	if slices.Contains(refs, head) {
		_ = e.EncodeString("symrefs\n")
	}
	_ = e.Flush()
	return &b
}

// tipsIn finds the branches in an answer: lines of "HASH NAME", then a flush.
func tipsIn(body io.Reader, b Branches) (Tips, error) {
	said, refs := map[string]string{}, b.refs()
	lines := pktline.NewScanner(body)
	for lines.Scan() {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		if line == "" { // flush
			return b.tips(said)
		}
		hash, rest, _ := strings.Cut(line, " ")
		name, attributes, _ := strings.Cut(rest, " ")
		if name == head {
			said[head], _ = strings.CutPrefix(attributes, "symref-target:")
		}
		if !slices.Contains(refs, name) {
			continue
		}
		if _, err := reconcile.ParseCommit(hash); err != nil {
			return Tips{}, fmt.Errorf("%w: %w", errNoV2, err)
		}
		said[name] = hash
	}
	if said, is := errors.AsType[*pktline.ErrorLine](lines.Err()); is {
		return Tips{}, serverSays(said.Text)
	}
	return Tips{}, fmt.Errorf("%w: its answer ends early", errNoV2)
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds, or a date. Who
// asks for more than an hour gets an hour: a question costs a packet.
func retryAfter(value string, now time.Time) time.Duration {
	const most = time.Hour
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(most/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
