package health

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// nameServer answers for www.example.org, and says of every other name that it
// does not exist. It returns its address.
func nameServer(t *testing.T) string {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(packet[:n]) != nil || len(query.Questions) != 1 {
				continue
			}
			q := query.Questions[0]
			reply := dnsmessage.Message{
				Header:    dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true, RCode: dnsmessage.RCodeNameError},
				Questions: query.Questions,
			}
			if q.Name.String() == "www.example.org." {
				reply.RCode = dnsmessage.RCodeSuccess
				header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
				switch q.Type {
				case dnsmessage.TypeA:
					reply.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}}}
				case dnsmessage.TypeAAAA:
					reply.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 7}}}}
				}
			}
			if data, err := reply.Pack(); err == nil {
				_, _ = conn.WriteTo(data, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func TestDNSChecks(t *testing.T) {
	server := nameServer(t)
	look := func(name, answer string) reconcile.Check {
		return reconcile.Check{Kind: reconcile.CheckDNS, Target: name, Server: server, Answer: answer}
	}
	expect(t, nil, look("www.example.org", ""), green)
	expect(t, nil, look("www.example.org.", "192.0.2.7"), green)
	expect(t, nil, look("www.example.org", "2001:db8::7"), green)
	expect(t, nil, reconcile.Check{Kind: reconcile.CheckDNS, Target: "localhost", Answer: "127.0.0.1"}, green) // in /etc/hosts
	got := one(t, nil, look("www.example.org", "192.0.2.8"))
	if got.OK || !strings.Contains(got.Detail, "want 192.0.2.8 among them") {
		t.Errorf("another answer gives %+v, want red", got)
	}
	got = one(t, nil, look("mail.example.org", ""))
	if got.OK || !strings.Contains(got.Detail, "no such host") {
		t.Errorf("a name that does not exist gives %+v, want red", got)
	}
}

func TestMountChecks(t *testing.T) {
	p := &Prober{UnitState: func(_ context.Context, unit string) (string, error) {
		switch unit {
		case "-.mount", "srv-media.mount", `srv-a\x2db.mount`:
			return "active", nil
		case "lost.mount":
			return "", errors.New("system bus: gone")
		}
		return "inactive", nil
	}}
	for path, want := range map[string]reconcile.CheckResult{
		"/": green, "/srv/media": green, "/srv/media/": green, "/srv/a-b": green,
		"/srv":  red("nothing is mounted on /srv"),
		"/lost": red("system bus: gone"),
	} {
		expect(t, p, reconcile.Check{Kind: reconcile.CheckMount, Path: path}, want)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/stamp", "backup ok\n")
	write(t, dir+"/old", "backup ok\n")
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(dir+"/old", old, old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, contains string
		age            time.Duration
		want           string // after the directory; "" = fine
	}{
		{path: "/stamp"},
		{path: "/stamp", contains: "ok", age: time.Hour},
		{path: "/old"},
		{path: "/old", age: time.Hour, want: "DIR/old was changed 2h0m0s ago, more than 1h0m0s"},
		{path: "/stamp", contains: "failed", want: `DIR/stamp does not contain "failed"`},
		{path: "/none", want: "stat DIR/none: no such file or directory"},
		{path: "/pipe"},
		{path: "/pipe", contains: "x", want: "DIR/pipe is not a regular file"},
	} {
		got := ""
		if err := File(reconcile.Check{Kind: reconcile.CheckFile, Path: dir + c.path, Contains: c.contains, MaxAge: c.age}); err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		if got != c.want {
			t.Errorf("%s, contains %q, max_age %v: %q, want %q", c.path, c.contains, c.age, got, c.want)
		}
	}
}

// Another process looks: what it prints is what is wrong.
func TestFileChecks(t *testing.T) {
	p := &Prober{LookAtFile: command.Run, FileProgram: []string{"/bin/sh", "-c", `grep -q '"path":"/good"' || echo -n "it is not good"`}}
	expect(t, p, reconcile.Check{Kind: reconcile.CheckFile, Path: "/good"}, green)
	expect(t, p, reconcile.Check{Kind: reconcile.CheckFile, Path: "/bad"}, red("it is not good"))
	p.FileProgram = []string{"/bin/sh", "-c", "exit 3"}
	if got := one(t, p, reconcile.Check{Kind: reconcile.CheckFile, Path: "/good"}); got.OK || !strings.Contains(got.Detail, "exit status 3") {
		t.Errorf("a program that fails gives %+v, want red", got)
	}
}

func TestACheckThatPanicsIsRed(t *testing.T) {
	p := &Prober{UnitState: func(context.Context, string) (string, error) { panic("index out of range") }}
	expect(t, p, reconcile.Check{Kind: reconcile.CheckUnit, Unit: "a.service"}, red("a bug in infra-agent: index out of range"))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
