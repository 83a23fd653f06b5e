package source

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// openSSH runs git-upload-pack on the other side.
func openSSH(conn net.Conn, remote Remote, endpoint *transport.Endpoint, address string, params []string) (*stream, error) {
	session, warnings, err := newSSH(conn, remote, endpoint, address)
	if err != nil {
		return nil, err
	}
	for _, p := range params {
		_ = session.Setenv("GIT_PROTOCOL", p) // a server that does not take it answers by the older protocol
	}
	said := &firstWords{}
	session.Stderr = said
	in, err := session.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("ssh: %w", err)
	}
	out, err := session.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("ssh: %w", err)
	}
	if err := session.Start(uploadPack + " " + quotedPath(endpoint)); err != nil {
		return nil, fmt.Errorf("ssh: start %s: %w", uploadPack, err)
	}
	stderr := sync.OnceValue(func() string {
		_ = session.Wait() // what it said may come after the end of what it printed
		return said.String()
	})
	return &stream{in: bufio.NewReader(in), out: out, stderr: stderr, warnings: warnings}, nil
}

// quotedPath is the repository's path as the other side's shell wants it.
func quotedPath(endpoint *transport.Endpoint) string {
	return "'" + strings.ReplaceAll(repositoryPath(endpoint.Path), "'", `'\''`) + "'"
}

// newSSH logs in, and returns a session that runs nothing yet, and what is odd in the file of
// known hosts. It uses the two files that the remote names, and nothing else: no agent, no
// ~/.ssh, no password.
func newSSH(conn net.Conn, remote Remote, endpoint *transport.Endpoint, address string) (_ *ssh.Session, warnings []string, err error) {
	key, err := readKey(remote.SSHKeyFile)
	if err != nil {
		return nil, nil, err
	}
	host, err := readHost(remote.KnownHostsFile, address)
	if err != nil {
		return nil, nil, err
	}
	user := endpoint.User
	if user == "" {
		user = remote.username()
	}
	config := &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: host.verify, HostKeyAlgorithms: host.algorithms,
	}
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, nil, host.explain(err, remote.SSHKeyFile, key)
	}
	session, err := ssh.NewClient(c, channels, requests).NewSession()
	if err != nil {
		return nil, nil, fmt.Errorf("ssh: %w", err)
	}
	return session, host.unread, nil
}

// readKey never says what is in the file.
func readKey(path string) (ssh.Signer, error) {
	data, err := os.ReadFile(copyOf(path))
	if err != nil {
		return nil, fmt.Errorf("read ssh_key_file: %w", err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		return nil, fmt.Errorf("ssh_key_file %s has a passphrase, which nobody can type (hint: make a deploy key without one: ssh-keygen -t ed25519 -N '' -f …)", path)
	}
	if err != nil {
		return nil, fmt.Errorf("ssh_key_file %s holds no private key that can be read%s", path, oddKey(data))
	}
	return key, nil
}

// oddKey says what else a file is that holds no private key in a form that ssh(1)
// reads; "" where that is not seen.
func oddKey(data []byte) string {
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	first, _, _ := strings.Cut(text, "\n")
	for _, odd := range []struct {
		is   bool
		what string
	}{
		{text == "", "it is empty (hint: was the secret put there?)"},
		{strings.HasPrefix(text, "PuTTY-User-Key-File"), "it is PuTTY's (hint: puttygen KEY -O private-openssh -o FILE)"},
		{strings.HasPrefix(first, "-----BEGIN ENCRYPTED"), "it has a passphrase, which nobody can type (hint: ssh-keygen -p -N '' -f FILE)"},
		{strings.Contains(first, "PUBLIC KEY") || strings.HasPrefix(text, "ssh-") || strings.HasPrefix(text, "ecdsa-") || strings.HasPrefix(text, "sk-"), "it is a public key (hint: name the file without .pub)"},
		{strings.HasPrefix(text, "age-encryption.org/") || strings.HasPrefix(text, "-----BEGIN AGE ENCRYPTED"), "it is encrypted by age (hint: name the file that is decrypted on the node)"},
		{strings.HasPrefix(text, "LS0tLS1CRUdJTi"), "it is the base64 of one (hint: base64 -d)"},
		{strings.Contains(first, "PRIVATE KEY-----") && strings.Contains(text, `\n`), `it has "\n" where lines should end (hint: write real line ends)`},
		{strings.Contains(first, "PRIVATE KEY-----") && !strings.Contains(text, "-----END "), "it is cut off (hint: copy all of it, the line END included)"},
	} {
		if odd.is {
			return ": " + odd.what
		}
	}
	return ""
}

// firstWords keeps the start of what is written to it.
type firstWords struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (f *firstWords) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = append(f.text, p[:min(len(p), 500-len(f.text))]...)
	return len(p), nil
}

func (f *firstWords) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.text)
}
