package source

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"
)

// A knownHost is what a file of known hosts says of one.
type knownHost struct {
	file, address string
	algorithms    []string // of the keys in the file, in its order; others would never match
	check         ssh.HostKeyCallback
	unread        []string // what is wrong with lines of the file
	met           bool     // the host has shown the right key
}

func readHost(file, address string) (*knownHost, error) {
	data, err := os.ReadFile(copyOf(file))
	if err != nil {
		return nil, fmt.Errorf("read known_hosts_file: %w", err)
	}
	db, unread, err := readKnown(data, address)
	if err != nil {
		return nil, fmt.Errorf("known_hosts_file %s: %w", file, err)
	}
	for i, line := range unread {
		unread[i] = fmt.Sprintf("known_hosts_file %s: %s", file, line)
	}
	h := &knownHost{file: file, address: address, algorithms: db.HostKeyAlgorithms(address), check: db.HostKeyCallback(), unread: unread}
	if len(h.algorithms) == 0 {
		but := ""
		if len(unread) > 0 {
			but = fmt.Sprintf("; %d of its lines cannot be read, the first: %s", len(unread), unread[0])
		}
		return nil, fmt.Errorf("known_hosts_file %s has no key of %s%s (hint: add what \"ssh-keyscan %s\" prints, after comparing it with what the server's operator says)",
			file, knownhosts.Normalize(address), but, scanArgs(address))
	}
	return h, nil
}

// readKnown reads known hosts as sshd(8) does: a line that cannot be read says
// nothing about any host, and is named in unread. A key of the address that cannot be read
// must not stay unrevoked: such a line is an error.
func readKnown(data []byte, address string) (db *knownhosts.HostKeyDB, unread []string, err error) {
	if db, err := parseKnown(data); err == nil {
		return db, nil, nil
	}
	var readable []byte
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		_, err := parseKnown([]byte(line))
		if err == nil {
			readable = append(readable, line...)
			continue
		}
		cause := fmt.Sprintf("line %d cannot be read", n)
		if revokes(line, address) {
			return nil, nil, fmt.Errorf("%s, and revokes a key (hint: mend it, or remove it)", cause)
		}
		unread = append(unread, cause+" and is skipped (hint: is it cut off, or its key of a kind that is not known?)")
	}
	db, err = parseKnown(readable)
	return db, unread, err
}

// revokes reports whether a line that cannot be read revokes a key of the address, as far as
// anybody can tell: its hosts are tried with a key that can be read.
func revokes(line, address string) bool {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != "@revoked" {
		return false
	}
	if len(fields) == 1 {
		return true
	}
	db, err := parseKnown(fmt.Appendf(nil, "%s ssh-ed25519 %s\n", fields[1], base64.StdEncoding.EncodeToString(anyKey)))
	return err != nil || len(db.HostKeyAlgorithms(address)) > 0
}

// anyKey is a key of the kind ssh-ed25519, RFC 8709 section 4.
var anyKey = ssh.Marshal(struct {
	Kind string
	Key  []byte
}{ssh.KeyAlgoED25519, make([]byte, ed25519.PublicKeySize)})

// parseKnown hands bytes to the library, which takes the names of files alone, as a
// file that only this process has.
func parseKnown(data []byte) (*knownhosts.HostKeyDB, error) {
	fd, err := unix.MemfdCreate("known_hosts", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "known_hosts")
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return nil, err
	}
	return knownhosts.NewDB(fmt.Sprintf("/proc/self/fd/%d", fd))
}

func scanArgs(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "22" {
		return host
	}
	return "-p " + port + " " + host
}

func (h *knownHost) verify(address string, addr net.Addr, key ssh.PublicKey) error {
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
		return &DeniedError{fmt.Errorf("%w (hint: the server does not accept the key in %s: is its public half, %s, a deploy key of the repository?)",
			err, keyFile, ssh.FingerprintSHA256(key.PublicKey()))}
	}
	if none, is := errors.AsType[*ssh.AlgorithmNegotiationError](err); is {
		return fmt.Errorf("%w (hint: known_hosts_file %s has keys of the kinds %s; the server has no such key any more)", none, h.file, strings.Join(h.algorithms, ", "))
	}
	return err
}
