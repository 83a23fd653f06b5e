package lab

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Servers beside the plain one, all for the same repository.
const (
	HTTPSURL  = "https://" + GitAddress + "/config.git"
	DaemonURL = "git://" + GitAddress + "/config.git"
)

// ServeTLS has the git server answer at HTTPSURL too, with a certificate of its own authority, whose certificate it
// returns in PEM. What was given to Tamper before answers there, too.
func (l *Lab) ServeTLS() (authority string, err error) {
	authority, certificate, err := newCertificate(net.ParseIP(GitAddress))
	if err != nil {
		return "", fmt.Errorf("serve TLS: %w", err)
	}
	handler, err := l.git.handler()
	if err != nil {
		return "", err
	}
	if l.git.tamper != nil {
		handler = l.git.tamper(handler)
	}
	listener, err := listenIn(l.namespace(switchName), GitAddress+":443")
	if err != nil {
		return "", fmt.Errorf("serve TLS: %w", err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with the lab
	l.atEnd(server.Close)
	return authority, nil
}

// ServeHTTP has the handler answer at the URL that it returns, beside the git server, until the lab ends.
func (l *Lab) ServeHTTP(handler http.Handler) (url string, err error) {
	listener, err := listenIn(l.namespace(switchName), GitAddress+":0")
	if err != nil {
		return "", fmt.Errorf("serve HTTP: %w", err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }() // ends with the lab
	l.atEnd(server.Close)
	return "http://" + listener.Addr().String(), nil
}

// newCertificate makes an authority and a certificate for one address.
func newCertificate(address net.IP) (authority string, certificate tls.Certificate, err error) {
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: root.NotAfter, IPAddresses: []net.IP{address}}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", certificate, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", certificate, err
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return "", certificate, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), rootKey)
	if err != nil {
		return "", certificate, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	return string(text), tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, nil
}

// ServeDaemon has git's own daemon answer at DaemonURL.
func (l *Lab) ServeDaemon() error {
	return l.serve(GitAddress+":9418", "git", "daemon", "--reuseaddr", "--export-all", "--listen="+GitAddress, "--base-path="+l.repo.served())
}

// SSH is OpenSSH's server, which lets one key in.
type SSH struct {
	URL        string
	Key        string // private key of a client, as ssh-keygen writes it
	KnownHosts string // line for a file of known hosts

	lab  *Lab
	dir  string
	stop func() error
}

// ServeSSH starts sshd.
func (l *Lab) ServeSSH() (*SSH, error) {
	s := &SSH{URL: "ssh://root@" + GitAddress + l.repo.Path(), lab: l, dir: filepath.Join(l.dir, "sshd")}
	if err := errors.Join(os.MkdirAll("/run/sshd", 0o755), os.Mkdir(s.dir, 0o700)); err != nil { // sshd wants the first one
		return nil, err
	}
	if err := keygen(filepath.Join(s.dir, "client"), "ed25519"); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(s.dir, "client"))
	if err != nil {
		return nil, err
	}
	s.Key = string(key)
	return s, s.ChangeHostKey()
}

// The home is the server's own: the shell that git runs below must not read what
// root has set up on this machine.
const sshdConfig = `ListenAddress ` + GitAddress + `
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/client.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AcceptEnv GIT_PROTOCOL
SetEnv HOME=%[1]s
`

// ChangeHostKey has the server show another host key from now on.
func (s *SSH) ChangeHostKey() error {
	if s.stop != nil {
		if err := s.stop(); err != nil {
			return err
		}
	}
	host, config := filepath.Join(s.dir, "host"), filepath.Join(s.dir, "config")
	_ = os.Remove(host)
	if err := keygen(host, "ed25519"); err != nil {
		return err
	}
	public, err := os.ReadFile(host + ".pub")
	if err != nil {
		return err
	}
	s.KnownHosts = GitAddress + " " + string(public)
	if err := os.WriteFile(config, fmt.Appendf(nil, sshdConfig, s.dir), 0o600); err != nil {
		return err
	}
	s.stop, err = s.lab.start(GitAddress+":22", "/usr/sbin/sshd", "-D", "-e", "-f", config)
	return err
}

func keygen(path, kind string) error {
	if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path).CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	return nil
}

// serve starts a server that ends with the lab.
func (l *Lab) serve(address string, command ...string) error {
	_, err := l.start(address, command...)
	return err
}

// start runs a server at the git server's host, waits until it listens, and returns how to stop it.
func (l *Lab) start(address string, command ...string) (stop func() error, err error) {
	name := filepath.Base(command[0])
	groups, err := makeControlGroup(cgroupPrefix + l.id + "-" + name)
	if err != nil {
		return nil, err
	}
	namespace := l.namespace(switchName)
	cmd := commandIn(context.Background(), groups, append([]string{"ip", "netns", "exec", namespace}, command...)...)
	cmd.Env = append(os.Environ(), gitEnvironment()...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = func() error {
		err := killControlGroups(groups)
		<-ended
		return err
	}
	for {
		conn, err := inNamespace(namespace, func() (net.Conn, error) { return net.Dial("tcp", address) })
		if err == nil {
			l.atEnd(stop)
			return stop, conn.Close()
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("start %s: it ended: %s", name, said.String())
		case <-time.After(poll):
		}
	}
}

// ServeSilence starts a server that accepts connections and never says a word, and returns its URL.
func (l *Lab) ServeSilence() (url string, err error) {
	const address = GitAddress + ":9"
	listener, err := listenIn(l.namespace(switchName), address)
	if err != nil {
		return "", fmt.Errorf("serve silence: %w", err)
	}
	l.atEnd(listener.Close)
	go func() { // ends with the lab
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	return "git://" + address + "/x.git", nil
}
