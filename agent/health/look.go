package health

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// resolves asks for the addresses of a name. A name without a dot is looked up as
// it is, not in the search domains of the node.
func resolves(ctx context.Context, c reconcile.Check) error {
	resolver := &net.Resolver{PreferGo: true}
	if c.Server != "" {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.Server)
		}
	}
	found, err := resolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(c.Target, ".")+".")
	if err != nil {
		return err
	}
	if c.Answer == "" {
		return nil
	}
	want, err := netip.ParseAddr(c.Answer)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == want.Unmap() }) {
		return fmt.Errorf("%s is %v, want %s among them", c.Target, found, want)
	}
	return nil
}

// mounted looks into the mount table of PID 1, proc_pid_mountinfo(5): this process
// may have a view of its own. The file system itself is not touched: one whose
// server is gone would block.
func mounted(root string, c reconcile.Check) error {
	table, err := os.ReadFile(root + "/proc/1/mountinfo")
	if err != nil {
		return err
	}
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(strings.TrimRight(c.Path, "/"))
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && fields[4] == or(escaped, "/") {
			return nil
		}
	}
	return fmt.Errorf("nothing is mounted on %s", c.Path)
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// there looks at a file, and reads it only when it must contain something.
func there(root string, c reconcile.Check) error {
	info, err := os.Stat(root + c.Path)
	if err != nil {
		return err
	}
	if age := time.Since(info.ModTime()); c.MaxAge > 0 && age > c.MaxAge {
		return fmt.Errorf("%s was changed %s ago, more than %s", c.Path, age.Round(time.Second), c.MaxAge)
	}
	if c.Contains == "" {
		return nil
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return fmt.Errorf("%s is not a regular file", c.Path)
	}
	f, err := os.Open(root + c.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBody))
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(c.Contains)) {
		return fmt.Errorf("%s does not contain %q", c.Path, c.Contains)
	}
	return nil
}
