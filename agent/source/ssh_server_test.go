package source

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// newKey makes a key pair; its private half is written to a file.
func newKey(t testing.TB, passphrase string) (file string, signer ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, signerOf(t, private)
}

func signerOf(t testing.TB, key crypto.Signer) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// An sshServer lets one key in, and runs real git.
type sshServer struct {
	t        testing.TB
	listener net.Listener
	hostKeys []ssh.Signer
	client   ssh.PublicKey
	programs string       // a directory of further ones
	v2       atomic.Bool  // takes GIT_PROTOCOL
	sent     atomic.Int64 // bytes
}

// listen returns a listener on the loopback, which ends with the test.
func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func newSSHServer(t testing.TB, client ssh.PublicKey, hostKeys ...ssh.Signer) *sshServer {
	t.Helper()
	listener := listen(t)
	s := &sshServer{t: t, listener: listener, hostKeys: hostKeys, client: client}
	s.v2.Store(true)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *sshServer) address() string { return s.listener.Addr().String() }

func (s *sshServer) serve(conn net.Conn) {
	defer conn.Close()
	config := &ssh.ServerConfig{PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if meta.User() != "git" || string(key.Marshal()) != string(s.client.Marshal()) {
			return nil, errors.New("not this one")
		}
		return nil, nil
	}}
	for _, key := range s.hostKeys {
		config.AddHostKey(key)
	}
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		c, requests, err := channel.Accept()
		if err != nil {
			return
		}
		go s.session(c, requests)
	}
}

func (s *sshServer) session(c ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = c.Close() }()
	var env []string
	for r := range requests {
		switch r.Type {
		case "env":
			var v struct{ Name, Value string }
			takes := ssh.Unmarshal(r.Payload, &v) == nil && v.Name == "GIT_PROTOCOL" && s.v2.Load()
			if takes {
				env = append(env, v.Name+"="+v.Value)
			}
			_ = r.Reply(takes, nil)
		case "exec":
			var v struct{ Command string }
			_ = r.Reply(ssh.Unmarshal(r.Payload, &v) == nil, nil)
			git := exec.CommandContext(s.t.Context(), "sh", "-c", v.Command)
			git.Env = append(append(os.Environ(), "PATH="+s.programs+":"+os.Getenv("PATH")), env...)
			git.Stdout, git.Stderr = &countingWriter{c, &s.sent}, c.Stderr()
			in, err := git.StdinPipe()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(in, c)
				in.Close()
			}()
			status := struct{ Status uint32 }{}
			if git.Run() != nil {
				status.Status = 1
			}
			_, _ = c.SendRequest("exit-status", false, ssh.Marshal(status))
			return
		}
	}
}

type countingWriter struct {
	io.Writer
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n.Add(int64(len(p)))
	return w.Writer.Write(p)
}

// knownAs writes a file of known hosts.
func knownAs(t testing.TB, address string, keys ...ssh.Signer) string {
	t.Helper()
	var lines strings.Builder
	for _, key := range keys {
		lines.WriteString(knownhosts.Line([]string{knownhosts.Normalize(address)}, key.PublicKey()) + "\n")
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// overSSH serves the world's repository.
func (w *world) overSSH() (*sshServer, Remote) {
	w.t.Helper()
	file, client := newKey(w.t, "")
	_, host := newKey(w.t, "")
	s := newSSHServer(w.t, client.PublicKey(), host)
	return s, Remote{
		Name: "origin", URL: "ssh://git@" + s.address() + w.bare, Timeout: time.Minute,
		SSHKeyFile: file, KnownHostsFile: knownAs(w.t, s.address(), host),
	}
}

// overGit serves the world's repository by git's own daemon.
func (w *world) overGit() Remote {
	w.t.Helper()
	listener := listen(w.t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				file, err := conn.(*net.TCPConn).File()
				if err != nil {
					return
				}
				defer file.Close()
				daemon := exec.CommandContext(w.t.Context(), "git", "daemon", "--inetd", "--export-all", "--base-path="+filepath.Dir(w.bare))
				daemon.Stdin, daemon.Stdout = file, file
				_ = daemon.Run()
			}()
		}
	}()
	return Remote{Name: "origin", URL: "git://" + listener.Addr().String() + "/fleet.git", Timeout: time.Minute}
}
