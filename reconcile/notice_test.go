package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A look is what the agent sees at a time after the start, and the notices that come of it, by their ids.
type look struct {
	at   time.Duration
	is   func(*reconcile.Snapshot)
	want string
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) // Unix time 1777896000

// looks plays the looks in order. What was told goes through nothing but the hands of the agent.
func looks(t *testing.T, told reconcile.Told, all []look) {
	t.Helper()
	s := reconcile.Snapshot{Record: reconcile.New(), Observation: reconcile.Observation{
		Policy: reconcile.Policy{HeldAfter: time.Hour}, Slots: reconcile.Slots{Running: "/nix/store/a", Profile: "/nix/store/a", Default: "/nix/store/a"},
	}}
	for i, l := range all {
		s.Observation.Now = noon.Add(l.at)
		if l.is != nil {
			l.is(&s)
		}
		var news []reconcile.Notice
		told, news = reconcile.Notices(told, s)
		var ids []string
		for _, n := range news {
			ids = append(ids, n.ID)
		}
		if got := strings.Join(ids, " "); got != l.want {
			t.Errorf("look %d, %v after the start: told %q, want %q", i+1, l.at, got, l.want)
		}
		if again, more := reconcile.Notices(told, s); len(more) > 0 || !again.Equal(told) {
			t.Errorf("look %d: the same look again tells %v", i+1, more)
		}
	}
}

func ends(id string, res reconcile.Result) func(*reconcile.Snapshot) {
	return func(s *reconcile.Snapshot) {
		s.Record.History = append(slices.Clone(s.Record.History), reconcile.Outcome{ID: id, Result: res})
	}
}

func held(g reconcile.Gate) func(*reconcile.Snapshot) {
	return func(s *reconcile.Snapshot) {
		s.Holds = nil
		if g != "" {
			s.Holds = []reconcile.Hold{{Gate: g, Why: "why"}}
		}
	}
}

func phase(p reconcile.Phase) func(*reconcile.Snapshot) {
	return func(s *reconcile.Snapshot) { s.Record.Phase = p }
}

func TestEachEndIsToldOnce(t *testing.T) {
	looks(t, reconcile.Told{}, []look{
		{0, ends("d1", reconcile.ResultPromoted), ""}, // from before anybody looked
		{1, ends("d2", reconcile.ResultRolledBack), "rolled_back/d2"},
		{2, nil, ""},
	})
	// Two deployments ended, and the agent was killed before it told of them.
	looks(t, reconcile.Told{Begun: true, Deployment: "d1"}, []look{
		{0, func(s *reconcile.Snapshot) {
			ends("d1", reconcile.ResultPromoted)(s)
			ends("d2", reconcile.ResultTested)(s)
			ends("d3", reconcile.ResultPromoted)(s)
		}, "tested/d2 promoted/d3"},
	})
	looks(t, reconcile.Told{Begun: true}, []look{{0, ends("d1", reconcile.ResultPromoted), "promoted/d1"}})
	// Another record: its history is not news.
	looks(t, reconcile.Told{Begun: true, Deployment: "d1"}, []look{{0, ends("x1", reconcile.ResultPromoted), ""}, {1, ends("x2", reconcile.ResultSteppedBack), "stepped_back/x2"}})
	// A record that cannot be read says nothing, and the cursor stays.
	looks(t, reconcile.Told{Begun: true, Deployment: "d1"}, []look{
		{0, func(s *reconcile.Snapshot) { s.Record.Unreadable = "damaged" }, ""},
		{1, func(s *reconcile.Snapshot) {
			s.Record.Unreadable = ""
			ends("d1", reconcile.ResultPromoted)(s)
			ends("d2", reconcile.ResultCancelled)(s)
		}, "cancelled/d2"},
	})
}

func TestANoticeOfADeploymentSaysHowItEnded(t *testing.T) {
	o := reconcile.Outcome{
		ID: "d1", Result: reconcile.ResultRolledBack, Cause: reconcile.Cause{Reason: reconcile.ReasonCheck, Why: "web is red\n" + strings.Repeat("ä", 2000)},
		Revision: "1234567890abcdef1234567890abcdef12345678", From: "/nix/store/a", To: "/nix/store/b", Started: noon, Ended: noon.Add(time.Minute),
	}
	r := reconcile.New()
	r.History = []reconcile.Outcome{o}
	_, news := reconcile.Notices(reconcile.Told{Begun: true}, reconcile.Snapshot{Record: r})
	want := reconcile.Notice{
		ID: "rolled_back/d1", Kind: reconcile.NoticeRolledBack, At: noon.Add(time.Minute), Deployment: "d1", Revision: o.Revision,
		From: "/nix/store/a", To: "/nix/store/b", Reason: "check", Since: noon,
		Why: "web is red\n" + strings.Repeat("ä", 994) + "…", // 2000 bytes, less the half of a character
	}
	if len(news) != 1 || news[0] != want {
		t.Fatalf("told %+v, want %+v", news, want)
	}
	if got := news[0].Text(); got != "rolled back (12345678, check): web is red" {
		t.Errorf("in words it is %q", got)
	}
}

func TestWhatStandsIsToldOnce(t *testing.T) {
	d := reconcile.Trial{Deployment: reconcile.Deployment{ID: "d1"}}
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, phase(reconcile.Stuck{Trial: d}), "stuck/d1"},
		{1, nil, ""},
		{2, phase(reconcile.Idle{}), ""},
		{3, phase(reconcile.Confirming{Trial: d}), ""},
		{4, phase(reconcile.Confirming{Trial: d, Held: "web is red"}), "waiting/d1"},
	})
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, func(s *reconcile.Snapshot) { s.Record.Suspended = reconcile.Suspension{Since: noon} }, "suspended/1777896000"},
		{time.Second, func(s *reconcile.Snapshot) { s.Record.Suspended = reconcile.Suspension{} }, "resumed/1777896000"},
		{time.Minute, func(s *reconcile.Snapshot) { s.Record.Suspended = reconcile.Suspension{Since: noon.Add(time.Minute)} }, "suspended/1777896060"},
	})
}

func TestACommitThatFailsIsToldOnce(t *testing.T) {
	fails := func(commit reconcile.Commit, key reconcile.FailureKey, g reconcile.Gate) func(*reconcile.Snapshot) {
		return func(s *reconcile.Snapshot) {
			s.Record.Work.Tip.Commit = commit
			s.Record.Failures = map[reconcile.FailureKey]reconcile.Failure{key: {Gate: g}}
		}
	}
	of := func(commit string) reconcile.FailureKey {
		return reconcile.FailureKey{Kind: reconcile.FailedRevision, Of: commit}
	}
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, fails("c1", of("c1"), reconcile.GateUnverified), "refused/c1"},
		{1, fails("", of("c1"), reconcile.GateUnverified), ""}, // the agent was started anew, and has not polled yet
		{2, fails("c1", of("c1"), reconcile.GateUnverified), ""},
		{3, fails("c2", of("c1"), reconcile.GateUnverified), ""},
		{4, fails("c2", of("c2"), reconcile.GateEvaluate), "evaluation_failed/c2"},
		{5, fails("c3", of("c3"), reconcile.GateIdentity), ""}, // which is told when it holds for long
	})
	drv := reconcile.FailureKey{Kind: reconcile.FailedDerivation, Of: "/nix/store/x-web.drv"}
	step := reconcile.Evaluated{Derivation: "/nix/store/x-web.drv"}
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, func(s *reconcile.Snapshot) {
			fails("c1", drv, reconcile.GateBuild)(s)
			s.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: step}
		}, "build_failed/x-web.drv"},
		{1, func(s *reconcile.Snapshot) { s.Record.Work.Steps = nil }, ""},
		{2, func(s *reconcile.Snapshot) {
			s.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: step}
		}, ""},
	})
}

func TestAHoldIsToldWhenItLasts(t *testing.T) {
	synced := func(s *reconcile.Snapshot) {
		s.Holds = nil
		s.Record.Anchor, s.Record.Good = "c1", reconcile.System{Toplevel: "/nix/store/a", Revision: "c1"}
	}
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, held(reconcile.GateBuild), ""},
		{30 * time.Minute, held(""), ""}, // the build is tried again
		{40 * time.Minute, held(reconcile.GateSource), ""},
		{60 * time.Minute, nil, "held/1777896000"},
		{90 * time.Minute, held(""), ""},
		{95 * time.Minute, held(reconcile.GateBuild), ""},
		{100 * time.Minute, synced, ""},
		{110 * time.Minute, held(reconcile.GateSuspend), ""}, // 13:50
		{170 * time.Minute, nil, "held/1777902600"},
	})
	looks(t, reconcile.Told{Begun: true}, []look{ // a planned wait, and one that a deployment ends
		{0, held(reconcile.GateWindow), ""},
		{2 * time.Hour, nil, ""},
		{3 * time.Hour, held(reconcile.GatePreflight), ""},
		{3*time.Hour + 59*time.Minute, phase(reconcile.Arming{}), ""},
		{4 * time.Hour, phase(reconcile.Idle{}), ""},
		{5 * time.Hour, nil, "held/1777910400"},
	})
	looks(t, reconcile.Told{Begun: true}, []look{ // another tool deploys when it likes
		{0, held(reconcile.GateObserve), ""},
		{8 * time.Hour, nil, ""},
	})
	looks(t, reconcile.Told{Begun: true}, []look{ // the clock is set back by a year
		{0, held(reconcile.GateSource), ""},
		{-365 * 24 * time.Hour, nil, ""},
		{-365*24*time.Hour + time.Hour, nil, "held/1746360000"},
	})
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, func(s *reconcile.Snapshot) { s.Observation.Policy.HeldAfter = 0; held(reconcile.GateSource)(s) }, ""},
		{1000 * time.Hour, nil, ""},
	})
	looks(t, reconcile.Told{}, []look{ // of a record that cannot be read, too
		{0, func(s *reconcile.Snapshot) { s.Record.Unreadable = "damaged"; held(reconcile.GateState)(s) }, ""},
		{time.Hour, nil, "held/1777896000"},
	})
}

func TestDriftIsTold(t *testing.T) {
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, held(reconcile.GateDrift), ""}, // somebody is switching
		{time.Minute, func(s *reconcile.Snapshot) { s.Record.Foreign.Tip, s.Record.Good.Toplevel = "c1", "/nix/store/b-nixos" }, "drift/b-nixos"},
		{time.Hour, func(s *reconcile.Snapshot) { s.Observation.Slots.Running = "" }, "held/1777896000"},
		{2 * time.Hour, func(s *reconcile.Snapshot) {
			s.Observation.Slots.Running, s.Record.Foreign.Tip = "/nix/store/b-nixos", ""
		}, ""},
		{2*time.Hour + 4*time.Minute, nil, ""},
		{2*time.Hour + 5*time.Minute, nil, "drift/1777903200"},
	})
	looks(t, reconcile.Told{Begun: true}, []look{ // a link that cannot be read says nothing
		{0, func(s *reconcile.Snapshot) { s.Observation.Slots.Running = ""; held(reconcile.GateDrift)(s) }, ""},
		{10 * time.Minute, nil, ""},
	})
}

func TestEveryKindHasWordsOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range reconcile.NoticeKinds {
		text := reconcile.Notice{Kind: k}.Text()
		if text == "" || seen[text] {
			t.Errorf("%s in words: %q", k, text)
		}
		seen[text] = true
	}
	for _, res := range reconcile.Results {
		if !slices.Contains(reconcile.NoticeKinds, reconcile.NoticeKind(res)) {
			t.Errorf("nobody can be told of the result %s", res)
		}
	}
}

// In observe mode: what would be tried is told once it could be, and each verdict on what another tool deployed.
func TestWhatObserveModeFindsIsTold(t *testing.T) {
	step := func(s reconcile.Step, gates ...reconcile.Gate) func(*reconcile.Snapshot) {
		return func(snap *reconcile.Snapshot) {
			snap.Record.Good.Toplevel, snap.Record.Work.Steps, snap.Holds = "/nix/store/a", map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: s}, nil
			for _, g := range gates {
				snap.Holds = append(snap.Holds, reconcile.Hold{Gate: g, Why: "it would change web.service"})
			}
		}
	}
	var b, c reconcile.Ready
	b.Toplevel, c.Toplevel = "/nix/store/b", "/nix/store/c"
	looks(t, reconcile.Told{Begun: true}, []look{
		{0, step(b.Built), ""},
		{1, step(b, reconcile.GateObserve), "would_deploy/b"},
		{2, step(nil), ""}, // the agent was started again
		{3, step(b.Evaluated), ""},
		{4, step(b, reconcile.GateObserve), ""},
		{5, step(c, reconcile.GateWindow, reconcile.GateObserve), "would_deploy/c"},
		{6, step(reconcile.Evaluated{Toplevel: "/nix/store/a"}), ""}, // a revert
		{7, step(c, reconcile.GateObserve), "would_deploy/c"},
	})

	judged := func(at time.Duration, why reconcile.Reason) func(*reconcile.Snapshot) {
		return func(s *reconcile.Snapshot) {
			o := reconcile.Observed{Revision: "c1", System: "/nix/store/b", Cause: reconcile.Cause{Reason: why}, At: noon.Add(at)}
			s.Record.Observed = append(slices.Clone(s.Record.Observed), o)
		}
	}
	looks(t, reconcile.Told{}, []look{
		{0, judged(-time.Hour, reconcile.ReasonUnit), ""}, // from before anybody looked
		{time.Minute, judged(time.Second, ""), "would_promote/1777896001"},
		{2 * time.Minute, nil, ""},
		{3 * time.Minute, func(s *reconcile.Snapshot) { // two, and the agent was killed before it told of them
			judged(130*time.Second, reconcile.ReasonCheck)(s)
			judged(150*time.Second, "")(s)
		}, "would_roll_back/1777896130 would_promote/1777896150"},
	})
	_, news := reconcile.Notices(reconcile.Told{Begun: true}, reconcile.Snapshot{Record: reconcile.Record{Phase: reconcile.Idle{}, Observed: []reconcile.Observed{
		{Revision: "1234567890abcdef1234567890abcdef12345678", System: "/nix/store/b", Cause: reconcile.Cause{Reason: reconcile.ReasonCheck, Why: "check web is red"}, At: noon},
	}}})
	if want := "what another tool deployed would have been rolled back (12345678, check): check web is red"; len(news) != 1 || news[0].Text() != want {
		t.Errorf("told %+v, want one that reads %q", news, want)
	}
}
