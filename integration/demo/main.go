// Command demo shows what infra-agent does on three real systemd nodes with real
// Nix and a real git server: a good commit is promoted, and one that breaks a
// role is rolled back on exactly the nodes with that role.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	version = "test" // what the fleet calls its agent
	program = "/usr/local/lib/infra-agent-lab/" + version + "/infra-agent"
	limit   = 10 * time.Minute
)

var start = time.Now()

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch err := demo(bounded, ctx); {
	case ctx.Err() != nil: // a person has seen enough
		say("ended")
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) {
	fmt.Printf("\n[%5.1f s] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
}

// demo ends with ctx; with KEEP set, the nodes then go on until forever ends.
func demo(ctx, forever context.Context) (err error) {
	dir, err := os.MkdirTemp("", "infra-agent-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	say("building the agent")
	agent, err := lab.BuildAgent(ctx, dir, version)
	if err != nil {
		return err
	}
	l, err := lab.New(lab.Options{Agents: map[string]string{version: agent}})
	if err != nil {
		return err
	}
	defer func() {
		if closed := l.Close(); err == nil {
			err = closed
		}
	}()
	if os.Getenv("KEEP") != "" {
		stop, err := watch(l)
		if err != nil {
			return err
		}
		defer stop()
	}
	nodes, err := boot(ctx, l)
	if err != nil {
		return err
	}
	web1, web2, db1 := nodes[0], nodes[1], nodes[2]

	say("pushing a good commit: role web, version 2")
	good, err := edit(l, "roles/web.nix", "VERSION=1", "VERSION=2")
	if err != nil {
		return err
	}
	if err := follow(ctx, "in sync", inSync(good), nodes...); err != nil {
		return err
	}

	say("pushing a commit that breaks role web: its service exits at once")
	bad, err := edit(l, "roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	if err != nil {
		return err
	}
	rolledBack := func(s control.Status) bool {
		last := len(s.History) - 1
		return s.Deployment == nil && last >= 0 && s.History[last].Result == reconcile.ResultRolledBack && s.Anchor == bad
	}
	if err := follow(ctx, "rolled back", rolledBack, web1, web2); err != nil {
		return err
	}
	if err := follow(ctx, "in sync", inSync(bad), db1); err != nil {
		return err
	}
	for _, n := range nodes {
		state, _ := n.Run(ctx, "systemctl", "is-active", "lab-web", "lab-db") // its exit code says that one is not
		fmt.Printf("  %-5s lab-web, lab-db: %s\n", n.Name(), strings.ReplaceAll(strings.TrimSpace(state), "\n", ", "))
	}
	if err := show(ctx, web1); err != nil {
		return err
	}
	say("done")
	if os.Getenv("KEEP") == "" {
		return nil
	}
	fmt.Printf("\nKEEP is set: the nodes go on. Enter one, where infra-agent is on the PATH, with\n")
	for _, n := range nodes {
		shell, err := n.Enter()
		if err != nil {
			return err
		}
		fmt.Printf("  %-5s %s\n", n.Name(), shell)
	}
	fmt.Printf("push to them from a clone of %s,\n", l.Repo().Path())
	fmt.Printf("look at them with Prometheus and Grafana (integration/demo/README.md), and end them with Ctrl-C.\n")
	<-forever.Done()
	return nil
}

// proxy is where a Prometheus on this machine finds the nodes: see prometheus.yml.
const proxy = "127.0.0.1:10120"

// watch lets Prometheus reach the agents, which listen on the nodes' loopback, until stop.
func watch(l *lab.Lab) (stop func(), err error) {
	listener, err := net.Listen("tcp", proxy)
	if err != nil {
		return nil, fmt.Errorf("the proxy for Prometheus: %w", err)
	}
	server := &http.Server{Handler: l.Loopback()}
	go func() { _ = server.Serve(listener) }() // ends with stop
	return func() { _ = server.Close() }, nil
}

// node is a lab node with the agent on it.
type node struct{ *lab.Node }

func boot(ctx context.Context, l *lab.Lab) ([]*node, error) {
	say("booting three NixOS-like nodes and a git server")
	var nodes []*node
	var raw []*lab.Node
	for _, n := range []struct{ name, address string }{{"web1", "10.99.0.11"}, {"web2", "10.99.0.12"}, {"db1", "10.99.0.13"}} {
		added, err := l.Node(n.name, n.address)
		if err != nil {
			return nil, err
		}
		nodes, raw = append(nodes, &node{added}), append(raw, added)
	}
	tip, err := l.Repo().Tip()
	if err != nil {
		return nil, err
	}
	if err := l.Up(ctx, tip, raw...); err != nil {
		return nil, err
	}
	return nodes, follow(ctx, "in sync", inSync(reconcile.Commit(tip)), nodes...)
}

func edit(l *lab.Lab, path, old, text string) (reconcile.Commit, error) {
	before, err := l.Repo().File(path)
	if err != nil {
		return "", err
	}
	commit, err := l.Repo().Commit("web: "+text, map[string]string{path: strings.Replace(before, old, text, 1)})
	return reconcile.Commit(commit), err
}

func inSync(commit reconcile.Commit) func(control.Status) bool {
	return func(s control.Status) bool { return s.InSync && s.Anchor == commit }
}

// follow prints each state that the nodes go through until all are as wanted.
func follow(ctx context.Context, what string, want func(control.Status) bool, nodes ...*node) error {
	ends := make(chan error)
	for _, n := range nodes {
		go func() { ends <- n.follow(ctx, what, want) }()
	}
	var err error
	for range nodes {
		err = errors.Join(err, <-ends)
	}
	return err
}

func (n *node) follow(ctx context.Context, what string, want func(control.Status) bool) error {
	shown := ""
	for {
		var s control.Status
		out, err := n.Run(ctx, program, "status", "--json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &s)
		}
		if err == nil && s.State != shown {
			shown = s.State
			fmt.Printf("  %-5s %s\n", n.Name(), strings.ReplaceAll(shown, "_", " "))
		}
		if err == nil && want(s) {
			fmt.Printf("  %-5s => %s\n", n.Name(), what)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not %s: %w\n%s", n.Name(), what, context.Cause(ctx), out)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// show prints what a person and what Prometheus sees of a node.
func show(ctx context.Context, n *node) error {
	status, err := n.Run(ctx, program, "status")
	if err != nil {
		return err
	}
	say("%s# infra-agent status\n%s", n.Name(), strings.TrimSpace(status))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return n.Dial(ctx, network, addr)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:10119/metrics", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	say("%s# curl 127.0.0.1:10119/metrics, the rollout in short", n.Name())
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		for _, name := range []string{"revision_info", "deployments_total", "rollbacks_total", "in_sync", "gate_blocked"} {
			if strings.HasPrefix(lines.Text(), "infra_agent_"+name) && !strings.HasSuffix(lines.Text(), " 0") {
				fmt.Println("  " + lines.Text())
			}
		}
	}
	return lines.Err()
}
