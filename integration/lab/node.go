package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Node is a machine: it is off until Boot. Its disk outlives power cuts.
type Node struct {
	lab     *Lab
	name    string
	address string
	port    string // of the switch
	dir     string
	root    string // where its disk is mounted
	groups  []string

	mu    sync.Mutex // guards power and boots
	power *power     // nil: off
	boots int
}

// Node adds a machine with an address in 10.99.0.0/24 from .3 on. Its name, which is also its hostname, is unique in the lab.
func (l *Lab) Node(name, address string) (*Node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &Node{
		lab: l, name: name, address: address,
		port: fmt.Sprintf("port%d", len(l.nodes)),
		dir:  filepath.Join(l.dir, "nodes", name),
	}
	if _, err := os.Stat(n.dir); err == nil {
		return nil, fmt.Errorf("add node %s: the lab has one of that name", name)
	}
	if err := n.build(); err != nil {
		return nil, fmt.Errorf("add node %s: %w", name, err)
	}
	l.nodes = append(l.nodes, n)
	return n, nil
}

// build makes the node's disk, cable and control groups.
func (n *Node) build() (err error) {
	if n.root, err = mountRoot(n.dir, n.lab.layer, n.lab.base); err != nil {
		return err
	}
	id := sha256.Sum256([]byte(n.lab.id + "/" + n.name))
	err = errors.Join(
		os.WriteFile(filepath.Join(n.root, "etc/machine-id"), []byte(hex.EncodeToString(id[:16])+"\n"), 0o444),
		os.RemoveAll(filepath.Join(n.root, "etc/hostname")), // nspawn sets the name
		os.RemoveAll(filepath.Join(n.root, "etc/resolv.conf")),
		os.MkdirAll(filepath.Join(n.root, "var/log/journal"), 0o755), // the journal outlives a power cut
		os.MkdirAll(filepath.Join(n.root, "boot"), 0o755),
	)
	if err != nil {
		return err
	}
	if err := n.lab.plug(n.name, n.port, n.address); err != nil {
		return err
	}
	n.groups, err = makeControlGroup(cgroupPrefix + n.lab.id + "-" + n.name)
	return err
}

// Name is the node's hostname.
func (n *Node) Name() string { return n.name }

// Address is the node's IP address.
func (n *Node) Address() string { return n.address }

// Link connects the node with the network, or cuts it off.
func (n *Node) Link(up bool) error { return n.lab.setPort(n.port, up) }

// Journal is what a unit has logged, in all boots; of all units where unit is empty.
func (n *Node) Journal(unit string) (string, error) {
	args := []string{"journalctl", "--no-pager", "--quiet", "--output=short-precise"}
	if unit != "" {
		args = append(args, "--unit="+unit)
	}
	return n.Run(context.Background(), args...)
}

// BootLog is what PID 1 printed on the console, in all boots.
func (n *Node) BootLog() (string, error) {
	text, err := os.ReadFile(n.bootLog())
	return string(text), err
}

func (n *Node) bootLog() string { return filepath.Join(n.dir, "boot.log") }

func (n *Node) report() string {
	var report strings.Builder
	section := func(title, text string, err error) {
		fmt.Fprintf(&report, "--- %s: %s\n%s\n", n.name, title, strings.TrimSpace(text))
		if err != nil {
			fmt.Fprintf(&report, "(%v)\n", err)
		}
	}
	console, err := n.BootLog()
	section("console", console, err)
	if !n.On() {
		section("state", "off", nil)
		return report.String()
	}
	for _, link := range []string{CurrentSystem, BootedSystem, Profile, BootDefault} {
		toplevel, err := n.Toplevel(link)
		section(link, toplevel, err)
	}
	failed, err := n.Run(context.Background(), "systemctl", "list-units", "--failed", "--no-legend", "--plain")
	section("failed units", failed, err)
	journal, err := n.Journal("infra-agent*")
	section("agent's journal", journal, err)
	return report.String()
}
