// Package health runs checks and asks connectivity targets for an answer. It
// does not judge what it sees.
package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Prober runs checks.
type Prober struct {
	// UnitState returns a unit's ActiveState, org.freedesktop.systemd1(5).
	UnitState func(ctx context.Context, unit string) (string, error)
	// Program runs a program, as [command.Run] does.
	Program func(ctx context.Context, c command.Command) ([]byte, error)
	// FileProgram is the program, and its arguments, that does what [File] does, outside of
	// the agent's sandbox and of its process: a file system whose server is gone blocks
	// whoever looks at it. It reads the check as JSON and prints what is wrong. LookAtFile
	// runs it as Program does, with no right but to read.
	FileProgram []string
	LookAtFile  func(ctx context.Context, c command.Command) ([]byte, error)
}

// maxBody is how much of an HTTP answer is read.
const maxBody = 1 << 20

// Run runs each check once, several at a time, and returns the results by name. A kind
// that this agent does not know is left out: the newer agent that brought it runs it.
func (p *Prober) Run(ctx context.Context, checks []reconcile.Check) map[string]reconcile.CheckResult {
	checks = reconcile.Runnable(checks)
	results := make([]reconcile.CheckResult, len(checks))
	each(len(checks), reconcile.ParallelChecks, func(i int) { results[i] = p.run(ctx, checks[i]) })
	byName := make(map[string]reconcile.CheckResult, len(checks))
	for i, c := range checks {
		byName[c.Name] = results[i]
	}
	return byName
}

func (p *Prober) run(ctx context.Context, c reconcile.Check) (r reconcile.CheckResult) {
	defer func() { // a check must not end the agent that is to roll back
		if bug := recover(); bug != nil {
			r = reconcile.CheckResult{Detail: fmt.Sprintf("a bug in infra-agent: %v", bug)}
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no answer within %v", c.Timeout))
	defer cancel()
	start := time.Now()
	var err error
	switch c.Kind {
	case reconcile.CheckUnit:
		err = p.unit(ctx, c)
	case reconcile.CheckTCP:
		err = tcp(ctx, c)
	case reconcile.CheckHTTP:
		err = get(ctx, c)
	case reconcile.CheckDNS:
		err = resolves(ctx, c)
	case reconcile.CheckMount:
		err = p.mounted(ctx, c)
	case reconcile.CheckFile:
		err = p.file(ctx, c)
	case reconcile.CheckExec:
		_, err = p.Program(ctx, command.Command{Args: c.Command, Dir: "/", MaxOutput: maxBody})
	default:
		err = fmt.Errorf("this infra-agent has no checks of kind %q", c.Kind)
	}
	r = reconcile.CheckResult{OK: err == nil, Took: time.Since(start)}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		r.Detail = firstLine(err)
	}
	return r
}

func (p *Prober) unit(ctx context.Context, c reconcile.Check) error {
	state, err := p.UnitState(ctx, c.Unit)
	if err != nil {
		return err
	}
	if state != "active" {
		return fmt.Errorf("unit %s is %s", c.Unit, state)
	}
	return nil
}

func tcp(ctx context.Context, c reconcile.Check) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Target)
	if err != nil {
		return err
	}
	return conn.Close()
}

func get(ctx context.Context, c reconcile.Check) error {
	// Every run is a new connection: a kept one says nothing about a service
	// that was restarted. Redirects are the answer, they are not followed.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Target, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "infra-agent")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if c.Status != 0 && resp.StatusCode != c.Status {
		return fmt.Errorf("GET %s: status %d, want %d", c.Target, resp.StatusCode, c.Status)
	}
	if c.Status == 0 && resp.StatusCode/100 != 2 {
		return fmt.Errorf("GET %s: status %d, want 2xx", c.Target, resp.StatusCode)
	}
	if c.Contains == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return err
	}
	if !strings.Contains(string(body), c.Contains) {
		return fmt.Errorf("GET %s: the answer does not contain %q", c.Target, c.Contains)
	}
	return nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// each calls f for 0 to n-1, so many at a time, and waits for all of them.
func each(n, atOnce int, f func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
