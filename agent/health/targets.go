package health

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Answered makes a new connection to each target (host:port, or a URL), to all of
// them at once, and says which of them answered. A refused connection is an answer.
func Answered(ctx context.Context, targets []string) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, reconcile.AnswerWithin)
	defer cancel()
	ok := make([]bool, len(targets))
	each(len(targets), max(1, len(targets)), func(i int) {
		addr, err := Address(targets[i])
		if err != nil {
			return
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		ok[i] = err == nil || errors.Is(err, syscall.ECONNREFUSED)
	})
	byTarget := make(map[string]bool, len(targets))
	for i, t := range targets {
		byTarget[t] = ok[i]
	}
	return byTarget
}

// Address returns the host:port of a target.
func Address(target string) (string, error) {
	if user, rest, scp := strings.Cut(target, "@"); scp && !strings.ContainsAny(user, ":/") { // git@host:path
		host, _, _ := strings.Cut(rest, ":")
		if inner, bracketed := strings.CutPrefix(rest, "["); bracketed {
			host, _, _ = strings.Cut(inner, "]")
		}
		return net.JoinHostPort(host, "22"), nil
	}
	if !strings.Contains(target, "://") {
		_, _, err := net.SplitHostPort(target)
		return target, err
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		case "ssh":
			port = "22"
		case "git":
			port = "9418"
		default:
			return "", errors.New("no port in " + target)
		}
	}
	if u.Hostname() == "" {
		return "", errors.New("no host in " + target)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// DefaultTargets returns whom a node usually needs: the given URLs (remotes and
// substituters), its resolvers and its default gateway. URLs without a host,
// and a host's own loopback, tell nothing about the network and are left out.
func DefaultTargets(urls []string) []string {
	var targets []string
	for _, u := range urls {
		if addr, err := Address(u); err == nil {
			targets = append(targets, addr)
		}
	}
	if f, err := os.Open("/etc/resolv.conf"); err == nil {
		targets = append(targets, resolvers(f)...)
		_ = f.Close()
	}
	if f, err := os.Open("/proc/net/route"); err == nil {
		targets = append(targets, gateways(f)...)
		_ = f.Close()
	}
	slices.Sort(targets)
	return slices.DeleteFunc(slices.Compact(targets), func(t string) bool {
		host, _, err := net.SplitHostPort(t)
		ip, _ := netip.ParseAddr(host)
		return err != nil || host == "localhost" || ip.IsLoopback()
	})
}

// resolvers reads the name servers of resolv.conf(5).
func resolvers(r io.Reader) []string {
	var found []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == "nameserver" {
			found = append(found, net.JoinHostPort(f[1], "53"))
		}
	}
	return found
}

// gateways reads the default routes of /proc/net/route: the third column is the
// gateway, in hexadecimal, in the machine's byte order. Any port will do: a
// refused connection is an answer.
func gateways(r io.Reader) []string {
	var found []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || f[1] != "00000000" {
			continue
		}
		raw, err := hex.DecodeString(f[2])
		if err != nil || len(raw) != 4 {
			continue
		}
		var ip [4]byte
		binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(raw))
		if gw := netip.AddrFrom4(ip); !gw.IsUnspecified() {
			found = append(found, net.JoinHostPort(gw.String(), "53"))
		}
	}
	return found
}
