package source

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// A crafted pack is written object by object, as no git would.
type crafted struct {
	objects []packed
	tip     plumbing.Hash
}

func (c *crafted) add(kind plumbing.ObjectType, content string) plumbing.Hash {
	c.objects = append(c.objects, packed{byte(kind), len(content), nil, []byte(content)})
	return plumbing.ComputeHash(kind, []byte(content))
}

func (c *crafted) tree(entries ...entry) plumbing.Hash {
	var raw strings.Builder
	for _, e := range entries {
		h := plumbing.NewHash(e.content)
		if e.mode != "40000" {
			h = c.add(plumbing.BlobObject, e.content)
		}
		raw.WriteString(e.mode + " " + e.name + "\x00" + string(h[:]))
	}
	return c.add(plumbing.TreeObject, raw.String())
}

// commit makes a commit of the tree the tip.
func (c *crafted) commit(tree plumbing.Hash) *crafted {
	const who = "a <a@example.org> 1700000000 +0000\n"
	c.tip = c.add(plumbing.CommitObject, "tree "+tree.String()+"\nauthor "+who+"committer "+who+"\nx\n")
	return c
}

func (c *crafted) pack() []byte { return pack(uint32(len(c.objects)), c.objects...) }

// with makes a commit of a tree of these entries.
func with(entries ...entry) *crafted {
	c := &crafted{}
	return c.commit(c.tree(entries...))
}

// pkt encodes one line; "" is a flush.
func pkt(line string) string {
	var b bytes.Buffer
	e := pktline.NewEncoder(&b)
	if line == "" {
		_ = e.Flush()
	} else {
		_ = e.EncodeString(line)
	}
	return b.String()
}

const service = "# service=git-upload-pack\n"

// advert is a list with one ref, of a server that can do what a fetch needs.
func advert(tip plumbing.Hash, capabilities string) string {
	return pkt(service) + pkt("") + pkt(tip.String()+" refs/heads/main\x00shallow no-progress "+capabilities+"\n") + pkt("")
}

// answer to a first request, up to where the pack begins.
func preamble(tip plumbing.Hash) string {
	return pkt("shallow "+tip.String()) + pkt("") + pkt("NAK\n")
}

// A hostile server answers the two requests of a fetch as it likes.
type hostile struct {
	tip   plumbing.Hash
	refs  func(w io.Writer, done <-chan struct{}) // instead of an honest list
	serve func(w io.Writer, done <-chan struct{})
}

func (h hostile) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := flusher{rw}
	switch {
	case r.Method == http.MethodPost:
		h.serve(w, r.Context().Done())
	case h.refs != nil:
		h.refs(w, r.Context().Done())
	default:
		_, _ = io.WriteString(w, advert(h.tip, "side-band-64k"))
	}
}

// flusher sends each write at once.
type flusher struct{ http.ResponseWriter }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// endless writes the same again and again.
func endless(text string) func(io.Writer, <-chan struct{}) {
	text = strings.Repeat(text, 1+16<<10/len(text))
	return func(w io.Writer, done <-chan struct{}) {
		for {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}
}

func silent(_ io.Writer, done <-chan struct{}) { <-done }

// drip writes a byte at a time, slower than anybody wants to wait.
func drip(text string) func(io.Writer, <-chan struct{}) {
	return func(w io.Writer, done <-chan struct{}) {
		for i := range text {
			if _, err := io.WriteString(w, text[i:i+1]); err != nil {
				return
			}
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func says(parts ...string) func(io.Writer, <-chan struct{}) {
	return func(w io.Writer, _ <-chan struct{}) { _, _ = io.WriteString(w, strings.Join(parts, "")) }
}

// band encodes a pack in side-band-64k.
func band(data []byte) string {
	var b strings.Builder
	for len(data) > 0 {
		n := min(len(data), 60000)
		b.WriteString(pkt("\x01" + string(data[:n])))
		data = data[n:]
	}
	return b.String() + pkt("")
}

// sends answers with a pack.
func sends(c *crafted) hostile {
	return hostile{tip: c.tip, serve: says(preamble(c.tip), band(c.pack()))}
}

// bomb is a tree of 10¹⁰ files in a dozen objects.
func bomb() *crafted {
	c := &crafted{}
	level := c.tree(entry{"100644", "f", "x"})
	for range 10 {
		var ten []entry
		for i := range 10 {
			ten = append(ten, entry{"40000", strconv.Itoa(i), level.String()})
		}
		level = c.tree(ten...)
	}
	return c.commit(level)
}

// wide is a tree of n different files.
func wide(n int) *crafted {
	var entries []entry
	for i := range n {
		name := fmt.Sprintf("%06d", i)
		entries = append(entries, entry{"100644", name, name})
	}
	return with(entries...)
}

// recount changes the number of objects that a pack claims to hold.
func recount(data []byte, by int) []byte {
	data = bytes.Clone(data[:len(data)-20])
	binary.BigEndian.PutUint32(data[8:], uint32(int(binary.BigEndian.Uint32(data[8:]))+by))
	return resum(data)
}

func resum(data []byte) []byte {
	sum := sha1.Sum(data)
	return append(data, sum[:]...)
}

// serveEach serves every connection until the other side ends it.
func serveEach(t *testing.T, serve func(io.Writer, <-chan struct{})) (address string) {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			done := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				close(done)
			}()
			go func() {
				serve(conn, done)
				_ = conn.(*net.TCPConn).CloseWrite()
				<-done
				conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}
