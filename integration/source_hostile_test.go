//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// onFetch changes the answer to a fetch. What the branch points to is told as it is.
func onFetch(change func(w io.Writer, answer []byte)) func(http.Handler) http.Handler {
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.Header.Get("Git-Protocol") != "" { // a poll asks in version 2
				honest.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			honest.ServeHTTP(answer, r)
			maps.Copy(w.Header(), answer.Header())
			change(w, answer.Body.Bytes())
		})
	}
}

// line is one line of git's protocol, gitprotocol-common(5).
func line(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// endless writes the same line until nobody reads any more.
func endless(w io.Writer, text string) {
	block := []byte(strings.Repeat(line(text), 1000))
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// packIn is where the pack begins, behind the length of its first line and the band.
func packIn(answer []byte) int { return bytes.Index(answer, []byte("PACK\x00\x00\x00\x02")) }

// onFetchDisk runs command on the directory of the fetch's unit until it answers as
// want says. A fetch that is under way has files that are gone while command looks.
func (n *node) onFetchDisk(want func(out string) bool, command ...string) {
	n.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		out, err := n.Run(n.t.Context(), append(command, "/var/lib/private/infra-agent-fetch")...)
		if err == nil && want(out) {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: %v after %v: %v\n%s", n.Name(), command, patience, err, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// nothingLeft expects that no fetch leaves anything but the store's own files.
func (n *node) nothingLeft() {
	n.t.Helper()
	n.onFetchDisk(func(out string) bool { return !temporary.MatchString(out) }, "find")
}

var temporary = regexp.MustCompile(`/(tmp_|incoming-)`)

// diskBytes is the size of all that the fetch's unit has on disk.
func (n *node) diskBytes() (bytes int) {
	n.t.Helper()
	n.onFetchDisk(func(out string) bool { _, err := fmt.Sscan(out, &bytes); return err == nil }, "du", "--bytes", "--summarize")
	return bytes
}

// Whatever a server answers, a node stays on its system and says why, and goes on
// when the server is honest again.
func TestHostileServersHurtNobody(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", "[limits]", "[limits]\nfetch_bytes = \"16MiB\"\nfetch = \"20s\"")
	web := f.up("web1")[0]
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	good := string(web.wait("promoted", ended(reconcile.ResultPromoted, commit)).Good.Toplevel)
	anonymous, _ := web.memory()
	disk := web.diskBytes()
	for i, c := range []struct {
		name   string
		tamper func(http.Handler) http.Handler
		gate   reconcile.Gate
		why    string
	}{
		{"endless progress", onFetch(func(w io.Writer, answer []byte) {
			_, _ = w.Write(answer[:packIn(answer)-5])
			endless(w, "\x02Counting objects: hold the line\n")
		}), reconcile.GateUnverified, "the remote sends more than 16777216 bytes"},
		{"a truncated pack", onFetch(func(w io.Writer, answer []byte) {
			_, _ = w.Write(answer[:packIn(answer)+100])
		}), reconcile.GateSource, "ends early"},
		{"a corrupt pack", onFetch(func(w io.Writer, answer []byte) {
			answer[packIn(answer)+40] ^= 0xff
			_, _ = w.Write(answer)
		}), reconcile.GateSource, "no valid pack"},
		{"a pack of 4294967295 objects", onFetch(func(w io.Writer, answer []byte) {
			copy(answer[packIn(answer)+8:], "\xff\xff\xff\xff")
			_, _ = w.Write(answer)
		}), reconcile.GateUnverified, "4294967295 objects, at most"},
		{"a redirect to another host", func(http.Handler) http.Handler {
			return http.RedirectHandler("http://"+lab.SecondAddress+"/config.git", http.StatusFound)
		}, reconcile.GateSource, "redirected to "},
		{"endless refs", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				const ref = "1111111111111111111111111111111111111111 refs/heads/x"
				if r.Method == http.MethodGet { // the poll in version 2 has failed
					w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
					_, _ = io.WriteString(w, "001e# service=git-upload-pack\n0000"+line(ref+"\x00shallow no-progress\n"))
				} else {
					w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				}
				endless(w, ref+"\n")
			})
		}, reconcile.GateSource, "the remote sends more than"},
	} {
		t.Log(c.name)
		check(t, f.Tamper(c.tamper))
		commit := f.edit("roles/web.nix", fmt.Sprintf("VERSION=%d", i+2), fmt.Sprintf("VERSION=%d", i+3))
		web.wait("held", held(c.gate, c.why))
		web.expect(good)
		web.nothingLeft()
		check(t, f.Tamper(nil))
		web.sync()
		good = string(web.wait("promoted", ended(reconcile.ResultPromoted, commit)).Good.Toplevel)
	}
	now, _ := web.memory()
	t.Logf("RssAnon %d KiB, before %d; disk %d, before %d", now, anonymous, web.diskBytes(), disk)
	if now > anonymous+4<<10 {
		t.Errorf("RssAnon is %d KiB, before it was %d", now, anonymous)
	}
	if now := web.diskBytes(); now > disk+1<<20 {
		t.Errorf("the fetch has %d bytes on disk, before it had %d", now, disk)
	}
}
