//go:build integration

package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// servers is a directory of the tree of servers.
type servers struct {
	t    testing.TB
	tree string
	dir  string // below the tree
}

// newServers returns a directory with a repository that git servers serve.
func newServers(t *testing.T) servers {
	t.Helper()
	s := inServersTree(t)
	for _, args := range [][]string{
		{"init", "-q", "--bare", "-b", "main", s.path("fleet.git")},
		{"init", "-q", "-b", "main", s.path("work")},
		{"-C", s.path("work"), "remote", "add", "origin", s.path("fleet.git")},
	} {
		s.git(args...)
	}
	return s
}

func inServersTree(t testing.TB) servers {
	t.Helper()
	tree := must[string](t)(lab.ServersTree())
	check(t, os.MkdirAll(tree+"/srv", 0o755))
	dir := must[string](t)(os.MkdirTemp(tree+"/srv", "servers-"))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	return servers{t, tree, strings.TrimPrefix(dir, tree)}
}

func (s servers) path(name string) string { return filepath.Join(s.tree, s.dir, name) }

func (s servers) git(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@h", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@h")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// pushed commits one file and pushes it.
func (s servers) pushed(content string) reconcile.Commit {
	s.t.Helper()
	check(s.t, os.WriteFile(s.path("work/flake.nix"), []byte(content), 0o600))
	s.git("-C", s.path("work"), "add", "-A")
	s.git("-C", s.path("work"), "commit", "-q", "-m", content)
	s.git("-C", s.path("work"), "push", "-q", "origin", "main")
	return reconcile.Commit(s.git("-C", s.path("work"), "rev-parse", "HEAD"))
}

// run starts a program in the tree until the test ends.
func (s servers) run(args ...string) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "chroot", append([]string{s.tree}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with its workers
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	said := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = said, said
	check(s.t, cmd.Start())
	s.t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
		if s.t.Failed() {
			s.t.Logf("%s: %s", args[0], said)
		}
	})
}

// write writes a file of settings, and returns its name in the tree.
func (s servers) write(name, text string) string {
	s.t.Helper()
	check(s.t, os.WriteFile(s.path(name), []byte(strings.NewReplacer("DIR", s.dir).Replace(text)), 0o600))
	return s.dir + "/" + name
}

// port is one that nobody listens on.
func port(t testing.TB) int {
	t.Helper()
	l := must[net.Listener](t)(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// up waits until somebody listens there.
func (s servers) up(network, address string) {
	s.t.Helper()
	for {
		conn, err := new(net.Dialer).DialContext(s.t.Context(), network, address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// followed follows a remote over two commits, by poll and fetch.
func (s servers) followed(r source.Remote) {
	s.t.Helper()
	o := s.options(r)
	f := source.NewFetcher(o)
	anchor := reconcile.Commit("")
	for i := range 2 {
		tip := s.pushed(fmt.Sprint(s.t.Name(), r.URL, i))
		polls := source.NewPoller(o).Once(s.t.Context())
		if polls[0].Err != nil || polls[0].Commit != tip {
			s.t.Fatalf("%s: a poll says %s, %v; want %s", r.URL, polls[0].Commit, polls[0].Err, tip)
		}
		got, err := f.Fetch(s.t.Context(), source.Request{Remote: r.Name, Tip: tip, Anchor: anchor})
		if err == nil {
			err = f.Verify(got, got.Tree)
		}
		if err != nil {
			s.t.Fatalf("%s: %v", r.URL, err)
		}
		anchor = tip
	}
}

func (s servers) options(r source.Remote) source.Options {
	s.t.Helper()
	return source.Options{
		Remotes: []source.Remote{r}, Branches: source.Branches{Branch: "main"}, Interval: time.Minute, Dir: s.t.TempDir(),
		Limits: source.Limits{TreeBytes: 1 << 20, TreeEntries: 100, FetchBytes: 1 << 20, Fetch: time.Minute},
		Trust:  source.Trust{Policy: reconcile.TrustNone}, Child: []string{must[string](s.t)(builtAgent()), "fetch-child"},
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	p := port(t)
	s.run("fcgiwrap", "-s", "unix:"+s.dir+"/fcgi")
	s.up("unix", s.path("fcgi"))
	s.run("nginx", "-c", s.write("nginx.conf", fmt.Sprintf(`
daemon off; user root; pid DIR/nginx.pid; error_log stderr;
events { }
http {
  access_log off; client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  server {
    listen 127.0.0.1:%d;
    location /old/ { rewrite ^/old/(.*)$ /$1 permanent; }
    location / {
      fastcgi_pass unix:DIR/fcgi;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_HTTP_EXPORT_ALL ""; fastcgi_param GIT_PROJECT_ROOT DIR;
      fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REMOTE_USER "";
    }
  }
}
`, p)))
	s.up("tcp", fmt.Sprint("127.0.0.1:", p))
	for _, path := range []string{"/fleet.git", "/fleet.git/", "/old/fleet.git"} {
		s.followed(source.Remote{Name: "origin", URL: fmt.Sprintf("http://127.0.0.1:%d%s", p, path), Timeout: time.Minute})
	}
}

// lighttpd serves a CGI program at every path.
func (s servers) lighttpd(program, env string) int {
	s.t.Helper()
	p := port(s.t)
	s.run("lighttpd", "-D", "-f", s.write("lighttpd.conf", fmt.Sprintf(`
server.modules = ("mod_alias", "mod_cgi", "mod_setenv")
server.document-root = "DIR"
server.bind = "127.0.0.1"
server.port = %d
server.upload-dirs = ("DIR")
alias.url = ("/git" => "%s")
setenv.add-environment = (%s)
cgi.assign = ("" => "")
`, p, program, env)))
	s.up("tcp", fmt.Sprint("127.0.0.1:", p))
	return p
}

func TestLighttpd(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	p := s.lighttpd("/usr/lib/git-core/git-http-backend", `"GIT_PROJECT_ROOT" => "DIR", "GIT_HTTP_EXPORT_ALL" => ""`)
	s.followed(source.Remote{Name: "origin", URL: fmt.Sprintf("http://127.0.0.1:%d/git/fleet.git", p), Timeout: time.Minute})
}

// cgit itself serves the files of a repository: that is said, and what to do.
func TestCgit(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	tip := s.pushed("1")
	s.git("-C", s.path("fleet.git"), "update-server-info")
	p := s.lighttpd("/usr/lib/cgit/cgit.cgi", `"CGIT_CONFIG" => "DIR/cgitrc"`)
	s.write("cgitrc", "virtual-root=/git\nscan-path=DIR\n")
	o := s.options(source.Remote{Name: "origin", URL: fmt.Sprintf("http://127.0.0.1:%d/git/fleet.git", p), Timeout: time.Minute})
	const want = "(git's dumb protocol), which is not supported (hint: have git http-backend serve it)"
	if got := source.NewPoller(o).Once(t.Context()); got[0].Err == nil || !strings.Contains(got[0].Err.Error(), want) {
		t.Errorf("a poll: %v, want %q", got[0].Err, want)
	}
	_, err := source.NewFetcher(o).Fetch(t.Context(), source.Request{Remote: "origin", Tip: tip})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a fetch: %v, want %q", err, want)
	}
}

func TestGitolite(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	for _, name := range []string{"key", "host"} {
		must[[]byte](t)(exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path(name)).Output())
	}
	check(t, os.Rename(s.path("key.pub"), s.path("node.pub")))
	home := "HOME=" + s.dir
	setup := exec.CommandContext(t.Context(), "chroot", s.tree, "env", home, "USER=root", "gitolite", "setup", "-pk", s.dir+"/node.pub")
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("gitolite setup: %v: %s", err, out)
	}
	keys := string(must[[]byte](t)(os.ReadFile(s.path(".ssh/authorized_keys"))))
	check(t, os.WriteFile(s.path(".ssh/authorized_keys"), []byte(strings.Replace(keys, `command="`, `command="`+home+" ", 1)), 0o600))
	s.git("-C", s.path("work"), "remote", "set-url", "origin", s.path("repositories/testing.git"))
	p := port(t)
	s.run("/bin/sh", "-c", "mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -f "+s.write("sshd_config", fmt.Sprintf(`
ListenAddress 127.0.0.1:%d
HostKey DIR/host
AuthorizedKeysFile DIR/.ssh/authorized_keys
PermitRootLogin yes
StrictModes no
PidFile none
`, p)))
	s.up("tcp", fmt.Sprint("127.0.0.1:", p))
	host := strings.Fields(string(must[[]byte](t)(os.ReadFile(s.path("host.pub")))))
	known := filepath.Join(t.TempDir(), "known_hosts")
	check(t, os.WriteFile(known, fmt.Appendf(nil, "[127.0.0.1]:%d %s %s\n", p, host[0], host[1]), 0o600))
	remote := source.Remote{Name: "origin", SSHKeyFile: s.path("key"), KnownHostsFile: known, Timeout: time.Minute}
	for _, url := range []string{"ssh://root@127.0.0.1:%d/testing", "ssh://root@127.0.0.1:%d/testing.git", "root@[127.0.0.1:%d]:testing"} {
		remote.URL = fmt.Sprintf(url, p)
		s.followed(remote)
	}

	t.Log("what gitolite says of a repository that the key may not read is told")
	remote.URL = fmt.Sprintf("root@[127.0.0.1:%d]:secret", p)
	if got := source.NewPoller(s.options(remote)).Once(t.Context()); got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "DENIED by fallthru") {
		t.Errorf("a poll: %v, want gitolite's own words", got[0].Err)
	}
}
