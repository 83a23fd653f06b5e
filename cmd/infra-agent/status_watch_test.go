package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

func TestBarsSayHowFarItIs(t *testing.T) {
	doing := func(what string, since time.Duration, took map[string]time.Duration) control.Status {
		return control.Status{Running: true, Doing: what, DoingSince: now.Add(-since), Took: took}
	}
	building := func(p reconcile.Progress) control.Status {
		s := doing("build bbbb", 90*time.Second, map[string]time.Duration{"build": time.Hour})
		s.Build = &p
		return s
	}
	confirming := func(deadline time.Time, c control.Confirmation) control.Status {
		c.Since = now.Add(-time.Minute)
		return control.Status{Running: true, Doing: "observe", Deployment: &control.Deployment{Deadline: deadline, Confirm: &c}}
	}
	last := map[string]time.Duration{"fetch": 20 * time.Second}
	for name, tt := range map[string]struct {
		s    control.Status
		want string
	}{
		"at rest":        {control.Status{Running: true, State: "idle", Took: last}, ""},
		"a poll":         {doing("poll", time.Second, last), ""},
		"no agent":       {control.Status{Doing: "fetch bbbb", DoingSince: now, Took: last}, ""},
		"a fetch":        {doing("fetch bbbb", 10*time.Second, last), "fetch     [###############...............]  10s of 20s last time\n"},
		"a slow fetch":   {doing("fetch bbbb", 30*time.Second, last), "fetch     [##############################]  30s, longer than 20s last time\n"},
		"an evaluation":  {doing("evaluate bbbb", 65*time.Second, last), "evaluate  [..............................]  1m5s\n"},
		"a clock set":    {doing("evaluate bbbb", -time.Hour, last), "evaluate  [..............................]  0s\n"},
		"a build begins": {building(reconcile.Progress{}), "build     [..............................]  0 of 0 derivations, 1m30s\n"},
		"a build": {
			building(reconcile.Progress{Built: 1, ToBuild: 3, Copied: 4, ToCopy: 9, Bytes: 5 << 20, BytesAll: 50 << 20}),
			"build     [##########....................]  1 of 3 derivations, 1m30s\n" +
				"download  [###...........................]  4 of 9 paths, 5 of 50 MiB\n",
		},
		"a copy of unknown size": {
			building(reconcile.Progress{ToBuild: 1, Copied: 1, ToCopy: 1}),
			"build     [..............................]  0 of 1 derivation, 1m30s\n" +
				"download  [##############################]  1 of 1 path\n",
		},
		"a trial": {
			confirming(now.Add(4*time.Minute), control.Confirmation{Checks: 2, Green: 1, Window: 30 * time.Second}),
			"checks    [###############...............]  1 of 2 green\n" +
				"window    [..............................]  not all green\n" +
				"deadline  [######........................]  4m0s left\n",
		},
		"a green trial for a person to decide": {
			confirming(time.Time{}, control.Confirmation{GreenSince: now.Add(-time.Minute), Window: 2 * time.Minute}),
			"window    [###############...............]  all green, 1m0s of 2m0s\n",
		},
		"a trial, and a clock that was set back": {
			confirming(time.Time{}, control.Confirmation{GreenSince: now.Add(time.Hour), Window: 2 * time.Minute}),
			"window    [..............................]  all green, 0s of 2m0s\n",
		},
		"a trial that is late": {
			confirming(now.Add(-30*time.Second), control.Confirmation{Checks: 1, Green: 1, GreenSince: now.Add(-time.Minute), Window: 30 * time.Second}),
			"checks    [##############################]  1 of 1 green\n" +
				"window    [##############################]  all green, 30s of 30s\n" +
				"deadline  [##############################]  0s left\n",
		},
	} {
		p, err := statusPicture(tt.s, now, false)
		if err != nil {
			t.Fatal(err)
		}
		got, _, ok := strings.Cut(p.text, "\nstate ")
		if tt.want == "" {
			ok, got = strings.HasPrefix(p.text, "state "), ""
		}
		if got != tt.want || !ok {
			t.Errorf("%s is shown as\n%s\nwant\n%s", name, p.text, tt.want)
		}
	}
}

// A fact is the same until something happens: time alone changes none.
func TestFactsOfAStatus(t *testing.T) {
	s := control.Status{
		Running: true, State: "verifying_rollback", Since: now.Add(-time.Second), Doing: "sample 7", DoingSince: now,
		Tip: revB, Anchor: revB, Subject: "web: x", Good: sysA, Slots: reconcile.Slots{Running: topA},
		Deployment: &control.Deployment{ID: "20260329T115900", To: sysB, Cause: reconcile.Cause{Reason: reconcile.ReasonUnit, Why: "nginx failed"}, Red: []string{"unit sshd.service failed"}},
		Holds:      []reconcile.Hold{{Gate: reconcile.GateBuild, Why: "no space (hint: make some)", Until: now.Add(time.Minute)}},
		History:    []reconcile.Outcome{{Result: reconcile.ResultRolledBack, Revision: revB, Ended: now.Add(-time.Hour)}},
	}
	want := []string{
		"verifying rollback", "branch bbbbbbbb web: x", "deployment 20260329T115900 to bbbbbbbb", "unit: nginx failed",
		"not healthy: unit sshd.service failed", "held by build: no space", "running aaa-nixos-system-web (good, aaaaaaaa)", "last: rolled back bbbbbbbb",
	}
	for _, at := range []time.Time{now, now.Add(time.Hour)} {
		p, err := statusPicture(s, at, false)
		if err != nil || !slices.Equal(p.facts, want) {
			t.Errorf("the facts are\n%q\nwant\n%q (%v)", p.facts, want, err)
		}
	}
	s = control.Status{State: "idle", Doing: "build bbbb", Build: &reconcile.Progress{ToBuild: 2}}
	if got, want := statusFacts(s, buildBars(*s.Build, "1s")), []string{"idle", "agent not running", "branch not seen yet", "build bbbb", "build: 0 of 2 derivations", "running unknown"}; !slices.Equal(got, want) {
		t.Errorf("the facts are\n%q\nwant\n%q", got, want)
	}
}

// "status --watch" asks the agent again and again, and ends without an error when it is told to.
func TestStatusIsWatched(t *testing.T) {
	run := t.TempDir()
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(run, control.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	states, asked := []string{"idle", "building"}, 0
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, control.Status{Running: true, State: states[min(asked, 1)]})
		if asked++; asked == 3 {
			interrupt()
		}
	})}
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	var out bytes.Buffer
	c, _, err := root().Find([]string{"status"})
	if err != nil {
		t.Fatal(err)
	}
	c.SetContext(ctx)
	c.SetOut(&out)
	if err := c.ParseFlags([]string{"--run-dir", run, "--state-dir", run, "--config", os.DevNull}); err != nil {
		t.Fatal(err)
	}
	if err := watchStatus(c, time.Microsecond); err != nil {
		t.Errorf("it ends with %v", err)
	}
	first, rest, _ := strings.Cut(out.String(), "\n")
	if first != "state    idle" || strings.Count(rest, " building\n") != 1 {
		t.Errorf("told is\n%s", out.String())
	}
}
