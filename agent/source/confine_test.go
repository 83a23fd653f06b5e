package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/signature"
)

// probe is a child that tries what no fetch does, and prints what it could do.
func probe(stdin io.Reader, stdout io.Writer) error {
	var j job
	if err := json.NewDecoder(stdin).Decode(&j); err != nil {
		return err
	}
	without, err := j.confine()
	if err != nil {
		return err
	}
	if without != "" {
		return errors.New(without)
	}
	beside := filepath.Join(filepath.Dir(j.Dir), "beside")
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the process
	if err != nil {
		return err
	}
	for _, try := range []struct {
		what string
		do   func() error
	}{
		{"write its own", func() error { return os.WriteFile(j.Dir+"/own", nil, 0o600) }},
		{"rename its own", func() error { return os.Rename(j.Dir+"/own", j.Dir+"/renamed") }},
		{"link", func() error { return os.Symlink("/etc", j.Dir+"/link") }},
		{"connect", func() error {
			c, err := net.Dial("tcp", listener.Addr().String()) //nolint:noctx // it ends with the process
			if err == nil {
				c.Close()
			}
			return err
		}},
		{"read the token", func() error { _, err := os.ReadFile(j.Remote.TokenFile); return err }},
		{"read the keys", func() error { _, err := os.ReadFile(j.Trust.Files.AllowedSigners); return err }},
		{"read the list of hosts", func() error { _, err := os.ReadFile("/etc/hosts"); return err }},
		{"read the state", func() error { _, err := os.ReadFile(beside); return err }},
		{"write the state", func() error { return os.WriteFile(beside, nil, 0o600) }},
		{"make a file beside", func() error { return os.WriteFile(beside+"-new", nil, 0o600) }},
		{"follow its link", func() error { _, err := os.ReadFile(j.Dir + "/link/passwd"); return err }},
		{"list /", func() error { _, err := os.ReadDir("/"); return err }},
		{"run a program", func() error { return exec.Command("/bin/true").Run() }}, //nolint:noctx // it ends with the process
		{"dump core", func() error { return positive(unix.RLIMIT_CORE) }},
		{"open many files", func() error {
			for range 1100 {
				if _, err := os.Open(j.Dir); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		answer := "yes"
		if err := try.do(); err != nil {
			answer = "no"
		}
		fmt.Fprintf(stdout, "%s: %s\n", try.what, answer)
	}
	return nil
}

// positive is an error where a limit is 0.
func positive(what int) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(what, &l); err != nil {
		return err
	}
	if l.Cur == 0 {
		return errors.New("the limit is 0")
	}
	return nil
}

// static builds this test as the agent is built: without C code. It is done once.
func static(t testing.TB) string {
	t.Helper()
	path, err := staticTest()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var staticTest = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch(), "static.test")
	build := exec.Command("go", "test", "-c", "-o", path, ".") //nolint:noctx // for all tests
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c: %w\n%s", err, out)
	}
	return path, nil
})

func TestLandlock(t *testing.T) {
	t.Parallel()
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 {
		t.Skipf("this kernel has no landlock: %v", errno)
	}
	dir := t.TempDir()
	for _, name := range []string{"beside", "token", "keys"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/own", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("token", dir+"/link-to-token"); err != nil {
		t.Fatal(err)
	}
	child := static(t)
	for _, c := range []struct {
		url  string
		ask  bool
		want string
	}{
		{"https://git.example.org/x.git", true, `write its own: no
rename its own: no
link: no
connect: yes
read the token: yes
read the keys: yes
read the list of hosts: yes
read the state: no
write the state: no
make a file beside: no
follow its link: no
list /: no
run a program: no
dump core: no
open many files: no
`},
		{"https://git.example.org/x.git", false, `write its own: yes
rename its own: yes
link: yes
connect: yes
read the token: yes
read the keys: yes
read the list of hosts: yes
read the state: no
write the state: no
make a file beside: no
follow its link: no
list /: no
run a program: no
dump core: no
open many files: no
`},
		{"/srv/x.git", false, `write its own: yes
rename its own: yes
link: yes
connect: yes
read the token: yes
read the keys: yes
read the list of hosts: yes
read the state: yes
write the state: no
make a file beside: no
follow its link: yes
list /: yes
run a program: yes
dump core: no
open many files: no
`},
	} {
		j := job{
			Ask: c.ask, Remote: Remote{URL: c.url, TokenFile: dir + "/link-to-token"}, Dir: dir + "/own",
			Trust: Trust{Files: signature.Files{AllowedSigners: dir + "/keys"}}, Limits: Limits{FetchBytes: 1 << 20, Fetch: time.Minute},
		}
		request, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		got, err := command.Run(t.Context(), command.Command{Args: []string{child}, Env: []string{"SOURCE_TEST_PROBE=1"}, Stdin: strings.NewReader(string(request))})
		if err != nil || string(got) != c.want {
			t.Errorf("%s: a confined child can (%v):\n%swant:\n%s", c.url, err, got, c.want)
		}
		for _, left := range []string{"own/renamed", "own/link"} {
			if err := os.Remove(filepath.Join(dir, left)); err != nil && !c.ask {
				t.Error(err)
			}
		}
	}

	t.Log("and it can fetch")
	w := &world{t: t, bare: dir + "/fleet.git", work: dir + "/work", store: dir + "/own/git", tree: dir + "/own/tree/source"}
	w.run(dir, "git", "init", "-q", "--bare", "-b", "main", w.bare)
	w.run(dir, "git", "init", "-q", "-b", "main", w.work)
	w.git("remote", "add", "origin", w.bare)
	server := httptest.NewServer(w.backend())
	t.Cleanup(server.Close)
	for _, url := range []string{server.URL + "/fleet.git", w.bare} {
		w.follow(Remote{Name: "origin", URL: url, Timeout: time.Minute}, Limits{TreeBytes: 1 << 20, TreeEntries: 1000, FetchBytes: 8 << 20})
		w.fetcher.opts.Child = []string{child}
		if got := w.mustFetch(w.pushed("a", url), ""); got.Unconfined != "" {
			t.Errorf("%s: Unconfined = %q, want nothing", url, got.Unconfined)
		}
	}
}

func TestLimitsOfTheChild(t *testing.T) {
	w := newWorld(t)
	tip := w.pushed("a", "1")
	seen := make(chan string, 1)
	pid := filepath.Join(t.TempDir(), "pid")
	next := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			number, _ := os.ReadFile(pid)
			limits, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(number)) + "/limits")
			seen <- string(limits)
		}
		next.ServeHTTP(rw, r)
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.fetcher.opts.Child = []string{"/bin/sh", "-c", "echo $$ >" + pid + "; exec " + self}
	w.mustFetch(tip, "")
	limits := strings.Join(strings.Fields(<-seen), " ")
	for _, want := range []string{
		"Max cpu time 120 120 seconds", // a minute to fetch, and one more
		"Max file size 171966464 171966464 bytes",
		"Max core file size 0 0 bytes",
		"Max open files 1024 1024 files",
	} {
		if !strings.Contains(limits, want) {
			t.Errorf("limits of the child: %s, want %s", limits, want)
		}
	}
	if strings.Contains(limits, "Max data size unlimited") {
		t.Errorf("limits of the child: %s, want a limit of its memory", limits)
	}
}
