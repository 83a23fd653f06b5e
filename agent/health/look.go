package health

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// resolves asks for the addresses of a name: as every program of the node does, or a
// server, which gets the name as it is, without the node's search domains.
func resolves(ctx context.Context, c reconcile.Check) error {
	resolver, name := &net.Resolver{PreferGo: true}, c.Target
	if c.Server != "" {
		name = strings.TrimSuffix(name, ".") + "."
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.Server)
		}
	}
	found, err := resolver.LookupNetIP(ctx, "ip", name)
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

// mounted asks systemd, which has a unit for each mount of the machine. This process
// may have a view of its own, and looking at a file system whose server is gone would block.
func (p *Prober) mounted(ctx context.Context, c reconcile.Check) error {
	state, err := p.UnitState(ctx, unit.UnitNamePathEscape(c.Path)+".mount")
	if err != nil {
		return err
	}
	if state != "active" {
		return fmt.Errorf("nothing is mounted on %s", c.Path)
	}
	return nil
}

func (p *Prober) file(ctx context.Context, c reconcile.Check) error {
	in, err := json.Marshal(c)
	if err != nil {
		return err
	}
	wrong, err := p.LookAtFile(ctx, command.Command{Args: p.FileProgram, Stdin: bytes.NewReader(in), Dir: "/", MaxOutput: maxBody})
	if err == nil && len(wrong) > 0 {
		err = errors.New(string(wrong))
	}
	return err
}

// File looks at a file, and reads it only when it must contain something.
func File(c reconcile.Check) error {
	info, err := os.Stat(c.Path)
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
	f, err := os.Open(c.Path)
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
