package source

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A large repository: of the size of a fleet that has been kept for years. Its
// content does not compress, so that bytes are easy to foresee.
const (
	largeFiles   = 3000
	largeFile    = 2000 // bytes
	largeCommits = 20_000
	largeUpdates = 500 // the last commits, of which each changes one file
)

// scratch is where this process keeps what all tests share.
func scratch() string {
	return filepath.Join(os.TempDir(), "infra-agent-source-"+strconv.Itoa(os.Getpid()))
}

// large makes the repository, once for all tests: some seconds.
var large = sync.OnceValues(func() (bare string, err error) {
	bare = filepath.Join(scratch(), "fleet.git")
	if out, err := exec.Command("git", "init", "-q", "--bare", "-b", "main", bare).CombinedOutput(); err != nil { //nolint:noctx // once
		return "", fmt.Errorf("git init: %w: %s", err, out)
	}
	fast := exec.Command("git", "--git-dir="+bare, "fast-import", "--quiet") //nolint:noctx // once
	in, err := fast.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := fast.Start(); err != nil {
		return "", err
	}
	stream := bufio.NewWriter(in)
	content := rand.NewChaCha8([32]byte{1})
	file := func(i int) {
		data := make([]byte, largeFile)
		_, _ = content.Read(data)
		fmt.Fprintf(stream, "M 100644 inline d%02d/f%04d.nix\ndata %d\n%s\n", i%60, i, len(data), data)
	}
	for c := range largeCommits {
		fmt.Fprintf(stream, "commit refs/heads/main\ncommitter a <a@example.org> %d +0000\ndata 1\nx\n", 1700000000+c)
		if c > 0 {
			file(int(content.Uint64() % largeFiles))
			continue
		}
		for i := range largeFiles {
			file(i)
		}
	}
	if err := stream.Flush(); err != nil {
		return "", err
	}
	in.Close()
	return bare, fast.Wait()
})

// A course serves the large repository, and moves its branch commit by commit.
type course struct {
	bare    string
	commits []reconcile.Commit // the last ones, oldest first
	remote  Remote
	wire    *wire
}

func newCourse(tb testing.TB) *course {
	tb.Helper()
	origin, err := large()
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{t: tb, bare: filepath.Join(tb.TempDir(), "fleet.git")}
	w.run("/", "git", "clone", "-q", "--bare", "--shared", origin, w.bare)
	list := w.run(w.bare, "git", "rev-list", "--reverse", "--max-count="+strconv.Itoa(largeUpdates+1), "main")
	c := &course{bare: w.bare}
	for commit := range strings.Lines(list) {
		c.commits = append(c.commits, reconcile.Commit(strings.TrimSpace(commit)))
	}
	server := httptest.NewUnstartedServer(w.backend())
	c.wire = &wire{Listener: server.Listener}
	server.Listener = c.wire
	server.Start()
	tb.Cleanup(server.Close)
	c.remote = Remote{Name: "origin", URL: server.URL + "/fleet.git", Timeout: time.Minute}
	c.to(tb, 0)
	return c
}

// to moves the branch to one of the commits.
func (c *course) to(tb testing.TB, i int) reconcile.Commit {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(c.bare, "refs/heads/main"), []byte(c.commits[i]+"\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
	return c.commits[i]
}

// bytes returns what went over the wire, both ways, while f ran.
func (c *course) bytes(f func()) int64 {
	before := c.wire.bytes.Load()
	f()
	return c.wire.bytes.Load() - before
}

func (c *course) fetcher(dir string, child ...string) *Fetcher {
	return NewFetcher(Options{
		Remotes: []Remote{c.remote}, Branches: onMain, Dir: dir, Child: child, Trust: Trust{Policy: reconcile.TrustNone},
		Limits: Limits{TreeBytes: 1 << 30, TreeEntries: 200_000, FetchBytes: 256 << 20, Fetch: time.Minute},
	})
}

// size returns the bytes of all files below dir.
func size(tb testing.TB, dir string) (total int64) {
	tb.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return total
}

// peak runs f, and returns the most anonymous memory that the child had, whose
// process number it writes into the file.
func peak(pidFile string, f func()) (kib int) {
	done := make(chan struct{})
	most := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-done:
				most <- n
				return
			case <-time.After(time.Millisecond):
				n = max(n, anonymous(pidFile))
			}
		}
	}()
	defer func() { // f may end the test
		close(done)
		kib = <-most
	}()
	f()
	return 0
}

// anonymous returns RssAnon in KiB, proc(5); 0 when the process is not there.
func anonymous(pidFile string) (kib int) {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	_, _ = fmt.Sscanf(rest, "%d kB", &kib)
	return kib
}
