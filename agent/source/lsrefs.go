package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/infra-agent/infra-agent/reconcile"
)

// answerBytes bounds the answer to one question: the wanted ref, and those whose
// names begin like it.
const answerBytes = 64 << 10

// errNoV2 says that a server does not speak version 2 of git's protocol, which
// alone can be asked for one ref (gitprotocol-v2(5)).
var errNoV2 = errors.New("the server does not answer git protocol version 2")

// A BusyError is a server's wish to be asked later.
type BusyError struct {
	Status string
	After  time.Duration // 0: it did not say
}

func (e *BusyError) Error() string { return "the server is busy: " + e.Status }

// lsRefs asks a server which commit the branch points to: one request, on a
// connection that is kept, whatever number of refs there is.
func lsRefs(ctx context.Context, client *http.Client, remote Remote, branch string) (reconcile.Commit, error) {
	ref := refOf(branch)
	req, err := remote.request(ctx, http.MethodPost, strings.TrimSuffix(remote.URL, "/")+"/"+uploadPack, question(ref))
	if err != nil {
		return "", err
	}
	req.Header.Set("Git-Protocol", version2)
	resp, err := remote.do(client, req)
	if status, is := errors.AsType[*statusError](err); is {
		return "", fmt.Errorf("%w: status %s", errNoV2, status.status)
	}
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, answerBytes)
	defer io.Copy(io.Discard, body) //nolint:errcheck // what is left over must be read for the connection to be kept
	return refIn(body, ref, branch)
}

// question encodes the command ls-refs for one prefix.
func question(ref string) *bytes.Buffer {
	var b bytes.Buffer
	e := pktline.NewEncoder(&b) // a bytes.Buffer takes everything
	_ = e.EncodeString("command=ls-refs\n", "agent=infra-agent\n", "object-format=sha1")
	b.WriteString("0001") // the delimiter between capabilities and arguments
	_ = e.EncodeString("ref-prefix " + ref + "\n")
	_ = e.Flush()
	return &b
}

// refIn finds the ref in an answer: lines of "HASH NAME", then a flush.
func refIn(body io.Reader, ref, branch string) (reconcile.Commit, error) {
	lines := pktline.NewScanner(body)
	for lines.Scan() {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		if line == "" { // flush
			return "", noBranch(branch, "the repository does not have it")
		}
		hash, rest, _ := strings.Cut(line, " ")
		name, _, _ := strings.Cut(rest, " ") // attributes may follow
		if name != ref {
			continue
		}
		commit, err := reconcile.ParseCommit(hash)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoV2, err)
		}
		return commit, nil
	}
	if said, is := errors.AsType[*pktline.ErrorLine](lines.Err()); is {
		return "", serverSays(said.Text)
	}
	return "", fmt.Errorf("%w: its answer ends early", errNoV2)
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), most)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
