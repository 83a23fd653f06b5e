package source

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/storage/memory"
	"golang.org/x/sys/unix"
)

// serve is a git server in a process of its own, so that what the clients cost can
// be told apart. It prints its address, and says at /wire what it sent and received.
func serve(dir string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // until the process ends
	if err != nil {
		panic(err)
	}
	w := &wire{Listener: listener}
	git := &cgi.Handler{Path: os.Getenv("SOURCE_TEST_BACKEND"), Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}}
	fmt.Println(listener.Addr())
	panic(http.Serve(w, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { //nolint:gosec // a test
		if r.URL.Path == "/wire" {
			fmt.Fprint(rw, w.bytes.Load())
			return
		}
		git.ServeHTTP(rw, r)
	})))
}

// A race is a course whose server is another process.
type race struct {
	*course
	address string
}

func newRace(b *testing.B) race {
	b.Helper()
	c := newCourse(b)
	out, err := exec.CommandContext(b.Context(), "git", "--exec-path").Output()
	if err != nil {
		b.Fatal(err)
	}
	server := exec.CommandContext(b.Context(), "/proc/self/exe")
	server.Env = append(os.Environ(), "SOURCE_TEST_SERVE="+filepath.Dir(c.bare), "SOURCE_TEST_BACKEND="+strings.TrimSpace(string(out))+"/git-http-backend")
	stdout, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	r := race{c, strings.TrimSpace(address)}
	r.remote.URL = "http://" + r.address + "/fleet.git"
	return r
}

// sent asks the server, on a connection of its own, and takes that off.
func (r race) sent(b *testing.B) int64 {
	b.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + r.address + "/wire") //nolint:noctx // a benchmark
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// costs runs each client b.N times, reports bytes on the wire and CPU, and returns
// the CPU of one.
func (r race) costs(b *testing.B, f func(i int) error) time.Duration {
	b.Helper()
	question := -r.sent(b)
	question += r.sent(b)
	bytes, cpu := r.sent(b), cpuTime(b)
	i := 0
	for b.Loop() {
		if err := f(i); err != nil {
			b.Fatal(err)
		}
		i++
	}
	spent := cpuTime(b) - cpu
	b.ReportMetric(float64(r.sent(b)-bytes-question)/float64(i), "wire-B/op")
	b.ReportMetric(float64(spent.Microseconds())/1000/float64(i), "cpu-ms/op")
	return spent / time.Duration(i)
}

const (
	maxPollCPU   = time.Millisecond
	maxUpdateCPU = 250 * time.Millisecond // of a commit that changes one file of 3,000; Nix takes 150 ms to copy it
)

// cpuTime is what this process and its children that have ended have used.
func cpuTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

func gitCLI(b *testing.B, dir string, args ...string) error {
	b.Helper()
	git := exec.CommandContext(b.Context(), "git", args...)
	git.Dir = dir
	out, err := git.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

func BenchmarkPoll(b *testing.B) {
	r := newRace(b)
	a := &asker{remote: r.remote}
	defer a.close()
	b.Run("infra-agent", func(b *testing.B) {
		if cpu := r.costs(b, func(int) error { _, err := a.tips(b.Context(), onMain); return err }); cpu > maxPollCPU {
			b.Errorf("a poll takes %v of CPU, want at most %v", cpu, maxPollCPU)
		}
	})
	b.Run("go-git", func(b *testing.B) {
		r.costs(b, func(int) error {
			_, err := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "o", URLs: []string{r.remote.URL}}).List(&git.ListOptions{})
			return err
		})
	})
	b.Run("git", func(b *testing.B) {
		r.costs(b, func(int) error { return gitCLI(b, "/", "ls-remote", "-q", r.remote.URL, "refs/heads/main") })
	})
}

func BenchmarkFirstFetch(b *testing.B) {
	r := newRace(b)
	tip, child := r.to(b, 0), static(b)
	b.Run("infra-agent", func(b *testing.B) {
		r.costs(b, func(int) error {
			_, err := r.fetcher(b.TempDir(), child).Fetch(b.Context(), Request{Remote: "origin", Tip: tip})
			return err
		})
	})
	b.Run("go-git", func(b *testing.B) { // as it is used mostly: the whole history
		r.costs(b, func(int) error {
			_, err := git.PlainClone(b.TempDir(), false, &git.CloneOptions{URL: r.remote.URL, SingleBranch: true})
			return err
		})
	})
	b.Run("git", func(b *testing.B) {
		r.costs(b, func(int) error { return gitCLI(b, "/", "clone", "-q", "--depth=1", r.remote.URL, b.TempDir()) })
	})
}

func BenchmarkUpdate(b *testing.B) {
	r := newRace(b)
	start := func(b *testing.B) string {
		r.to(b, 0)
		return b.TempDir()
	}
	b.Run("infra-agent", func(b *testing.B) {
		f := r.fetcher(start(b), static(b))
		if _, err := f.Fetch(b.Context(), Request{Remote: "origin", Tip: r.commits[0]}); err != nil {
			b.Fatal(err)
		}
		cpu := r.costs(b, func(i int) error {
			got, err := f.Fetch(b.Context(), Request{Remote: "origin", Tip: r.to(b, i+1), Anchor: r.commits[i]})
			if err == nil {
				err = f.Verify(got, got.Tree)
			}
			return err
		})
		if cpu > maxUpdateCPU {
			b.Errorf("an update takes %v of CPU, want at most %v", cpu, maxUpdateCPU)
		}
	})
	b.Run("go-git", func(b *testing.B) {
		repository, err := git.PlainClone(start(b), false, &git.CloneOptions{URL: r.remote.URL, SingleBranch: true, Depth: 1})
		if err != nil {
			b.Fatal(err)
		}
		r.costs(b, func(i int) error {
			r.to(b, i+1)
			return repository.Fetch(&git.FetchOptions{Depth: 1, Force: true})
		})
	})
	b.Run("git", func(b *testing.B) {
		dir := start(b)
		if err := gitCLI(b, "/", "clone", "-q", "--depth=1", r.remote.URL, dir); err != nil {
			b.Fatal(err)
		}
		r.costs(b, func(i int) error {
			r.to(b, i+1)
			return gitCLI(b, dir, "pull", "-q", "--ff-only")
		})
	})
}
