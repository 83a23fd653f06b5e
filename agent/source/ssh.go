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
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// openSSH runs git-upload-pack on the other side. It uses the two files that the
// remote names, and nothing else: no agent, no ~/.ssh, no password.
func openSSH(conn net.Conn, remote Remote, endpoint *transport.Endpoint, address string, params []string) (*stream, error) {
	key, err := readKey(remote.SSHKeyFile)
	if err != nil {
		return nil, err
	}
	host, err := readHost(remote.KnownHostsFile, address)
	if err != nil {
		return nil, err
	}
	user := endpoint.User
	if user == "" {
		user = remote.username()
	}
	config := &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: host.judge, HostKeyAlgorithms: host.algorithms,
	}
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, host.explain(err, remote.SSHKeyFile, key)
	}
	session, err := ssh.NewClient(c, channels, requests).NewSession()
	if err != nil {
		return nil, fmt.Errorf("ssh: %w", err)
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
	path := strings.ReplaceAll(repositoryPath(endpoint.Path), "'", `'\''`)
	if err := session.Start(uploadPack + " '" + path + "'"); err != nil {
		return nil, fmt.Errorf("ssh: start %s: %w", uploadPack, err)
	}
	stderr := sync.OnceValue(func() string {
		_ = session.Wait() // what it said may come after the end of what it printed
		return said.String()
	})
	return &stream{in: bufio.NewReader(in), out: out, stderr: stderr}, nil
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
		return nil, fmt.Errorf("ssh_key_file %s holds no private key that can be read", path)
	}
	return key, nil
}

// A knownHost is what a file of known hosts says of one.
type knownHost struct {
	file, address string
	algorithms    []string // of the keys in the file, in its order; others would never match
	check         ssh.HostKeyCallback
	met           bool // the host has shown the right key
}

func readHost(file, address string) (*knownHost, error) {
	db, err := knownhosts.NewDB(copyOf(file))
	if err != nil {
		return nil, fmt.Errorf("read known_hosts_file: %w", err)
	}
	h := &knownHost{file: file, address: address, algorithms: db.HostKeyAlgorithms(address), check: db.HostKeyCallback()}
	if len(h.algorithms) == 0 {
		name := knownhosts.Normalize(address)
		return nil, fmt.Errorf("known_hosts_file %s has no key of %s (hint: add what \"ssh-keyscan %s\" prints, after comparing it with what the server's operator says)",
			file, name, scanArgs(address))
	}
	return h, nil
}

func scanArgs(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "22" {
		return host
	}
	return "-p " + port + " " + host
}

func (h *knownHost) judge(address string, addr net.Addr, key ssh.PublicKey) error {
	err := h.check(address, addr, key)
	if err == nil {
		h.met = true
		return nil
	}
	shows := fmt.Sprintf("%s shows the host key %s %s", knownhosts.Normalize(address), key.Type(), ssh.FingerprintSHA256(key))
	if _, revoked := errors.AsType[*xknownhosts.RevokedError](err); revoked {
		return fmt.Errorf("%s, which known_hosts_file %s revokes", shows, h.file)
	}
	return fmt.Errorf("%s, and known_hosts_file %s has another: the key was changed, or this is another server (hint: if the server's operator has changed it, replace it in the file)", shows, h.file)
}

// explain says what an operator can do about a handshake that failed.
func (h *knownHost) explain(err error, keyFile string, key ssh.Signer) error {
	if h.met {
		return fmt.Errorf("%w (hint: the server does not accept the key in %s: is its public half, %s, a deploy key of the repository?)",
			err, keyFile, ssh.FingerprintSHA256(key.PublicKey()))
	}
	if none, is := errors.AsType[*ssh.AlgorithmNegotiationError](err); is {
		return fmt.Errorf("%w (hint: known_hosts_file %s has keys of the kinds %s; the server has no such key any more)", none, h.file, strings.Join(h.algorithms, ", "))
	}
	return err
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
