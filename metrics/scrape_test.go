package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

// scrape serves the snapshot on a socket and returns what Prometheus would get.
func scrape(t *testing.T, s reconcile.Snapshot) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "metrics.sock")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- metrics.Serve(ctx, l, metrics.New("1.2.3", func() reconcile.Snapshot { return s }))
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://infra-agent/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics: %s, %v", resp.Status, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve() = %v, want nil when the context ends", err)
	}
	return string(text)
}

func at(seconds int64) time.Time { return time.Unix(seconds, 500_000_000) }

// full is a node in the middle of a trial that has seen something.
func full() reconcile.Snapshot {
	d := reconcile.Deployment{Old: reconcile.System{Toplevel: topA, Revision: "aaaa"}, New: reconcile.System{Toplevel: topB, Revision: "bbbb"}}
	return reconcile.Snapshot{
		Record: reconcile.Record{
			Phase: reconcile.Confirming{Trial: reconcile.Trial{Deployment: d}, Until: 700 * time.Second}, Anchor: "bbbb", Good: d.Old, Heights: map[reconcile.Commit]int{"aaaa": 4, "bbbb": 7},
			Suspended: reconcile.Suspension{Reason: "the database moves", Since: at(1950), Until: at(2950)},
			Blocked:   map[reconcile.Toplevel]reconcile.Block{"/nix/store/ccc": {}, "/nix/store/ddd": {}}, Owed: []reconcile.Debt{{Kind: reconcile.DebtUndrain}, {Kind: reconcile.DebtRestore}},
			Tally: reconcile.Tally{
				Deployments:    map[reconcile.Result]int{reconcile.ResultPromoted: 12, reconcile.ResultRolledBack: 2},
				LastDeployment: map[reconcile.Result]time.Time{reconcile.ResultPromoted: at(1000)},
				Rollbacks:      map[reconcile.Reason]int{reconcile.ReasonCheck: 2}, LastRollback: at(1130), Consecutive: 1, RollbackFailed: true,
				Audits:        map[reconcile.AuditResult]int{reconcile.AuditSame: 3},
				Verifications: map[reconcile.Verdict]int{reconcile.VerdictGood: 9, reconcile.VerdictNotDescendant: 1},
				Entered:       at(1200), OutOfSync: at(1300), LastPollOK: at(1400), RebootSince: at(1960),
				Took:      reconcile.Times{"build": 90 * time.Second, "confirm": 1500 * time.Millisecond, "goback": 61 * time.Second, "verify": 250 * time.Millisecond, "preflight": time.Second},
				Durations: map[string]reconcile.Durations{"build": {Sum: 94 * time.Second, Buckets: map[int]int{26: 1, 4: 2}}},
				Marks: map[reconcile.Stage]reconcile.Mark{
					reconcile.StageSeen:    {Revision: "cccc", Reached: at(1500)},
					reconcile.StageRunning: {Revision: "bbbb", Time: at(1600), Reached: at(1700)},
				},
			},
			Observed: []reconcile.Observed{{}, {Cause: reconcile.Cause{Reason: reconcile.ReasonUnit}}, {}},
			Work: reconcile.Work{
				Tip: reconcile.Tip{Commit: "cccc"},
				Steps: map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: reconcile.Resolved{
					Fetched: reconcile.Fetched{Revision: reconcile.Revision{Odd: map[reconcile.Oddity]int{reconcile.OddPointer: 12, reconcile.OddEncrypted: 1}}},
					Target:  reconcile.Target{Configuration: `web"1`, Environment: "prod", Wave: "canary", Roles: []reconcile.Role{"dns", "mail"}},
				}},
			},
		},
		Observation: reconcile.Observation{
			Now: at(2000), Uptime: 600 * time.Second, Booted: topA,
			Slots: reconcile.Slots{Running: topB, Profile: topA, Default: topA},
		},
		Holds: []reconcile.Hold{{Gate: reconcile.GateSuspend}, {Gate: reconcile.GateSource}, {Gate: reconcile.GateWindow, Until: at(2100)}},
		Counters: reconcile.Counters{
			Polls: map[reconcile.PollResult]int{reconcile.PollUnchanged: 9, reconcile.PollError: 1}, LastPoll: at(1800),
			Checks: map[string]reconcile.CheckCount{"web": {Passed: 5, Failed: 1, Last: reconcile.CheckResult{OK: true, Took: 250 * time.Millisecond}}, "db": {Failed: 2}},
		},
		Reload: reconcile.Reload{Err: "line 3", At: at(1900)}, Reboot: []string{"kernel", "systemd"},
		Generations: map[reconcile.Toplevel]int{topA: 41, topB: 42},
		Deliveries:  map[string]reconcile.Delivery{"chat": {Pending: 3, Delivered: 5, Failed: 4, Dropped: 2}},
	}
}

// What a scrape says of that node, without the comments.
const fullText = `
infra_agent_blocked_systems 2
infra_agent_commits_behind 3
infra_agent_config_last_reload_success_timestamp_seconds 1900.5
infra_agent_config_last_reload_successful 0
infra_agent_confirm_deadline_timestamp_seconds 2100.5
infra_agent_consecutive_failures 1
infra_agent_debts 2
infra_agent_deployments_total{result="build_failed"} 0
infra_agent_deployments_total{result="cancelled"} 0
infra_agent_deployments_total{result="evaluation_failed"} 0
infra_agent_deployments_total{result="promoted"} 12
infra_agent_deployments_total{result="rollback_failed"} 0
infra_agent_deployments_total{result="rolled_back"} 2
infra_agent_deployments_total{result="stepped_back"} 0
infra_agent_deployments_total{result="tested"} 0
infra_agent_drift{kind="boot_default"} 0
infra_agent_drift{kind="profile"} 0
infra_agent_drift{kind="running"} 0
infra_agent_gate_blocked{gate="blocked"} 0
infra_agent_gate_blocked{gate="build"} 0
infra_agent_gate_blocked{gate="drift"} 0
infra_agent_gate_blocked{gate="evaluate"} 0
infra_agent_gate_blocked{gate="hold"} 0
infra_agent_gate_blocked{gate="identity"} 0
infra_agent_gate_blocked{gate="lock"} 0
infra_agent_gate_blocked{gate="manifest"} 0
infra_agent_gate_blocked{gate="observe"} 0
infra_agent_gate_blocked{gate="preflight"} 0
infra_agent_gate_blocked{gate="reboot"} 0
infra_agent_gate_blocked{gate="secrets"} 0
infra_agent_gate_blocked{gate="source"} 1
infra_agent_gate_blocked{gate="state"} 0
infra_agent_gate_blocked{gate="suspend"} 1
infra_agent_gate_blocked{gate="unverified"} 0
infra_agent_gate_blocked{gate="window"} 1
infra_agent_generation{slot="booted"} 41
infra_agent_generation{slot="default"} 41
infra_agent_generation{slot="good"} 41
infra_agent_generation{slot="running"} 42
infra_agent_head_verified 0
infra_agent_health_check_duration_seconds{check="db"} 0
infra_agent_health_check_duration_seconds{check="web"} 0.25
infra_agent_health_check_runs_total{check="db",result="green"} 0
infra_agent_health_check_runs_total{check="db",result="red"} 2
infra_agent_health_check_runs_total{check="web",result="green"} 5
infra_agent_health_check_runs_total{check="web",result="red"} 1
infra_agent_health_check_success{check="db"} 0
infra_agent_health_check_success{check="web"} 1
infra_agent_in_sync 0
infra_agent_last_deployment_timestamp_seconds{result="promoted"} 1000.5
infra_agent_last_deployment_timestamp_seconds{result="rollback_failed"} 0
infra_agent_last_deployment_timestamp_seconds{result="rolled_back"} 0
infra_agent_last_phase_duration_seconds{phase="activate"} 0
infra_agent_last_phase_duration_seconds{phase="build"} 90
infra_agent_last_phase_duration_seconds{phase="confirm"} 1.5
infra_agent_last_phase_duration_seconds{phase="evaluate"} 0
infra_agent_last_phase_duration_seconds{phase="fetch"} 0
infra_agent_last_phase_duration_seconds{phase="promote"} 0
infra_agent_last_phase_duration_seconds{phase="rollback"} 61
infra_agent_last_phase_duration_seconds{phase="verify"} 0.25
infra_agent_last_poll_success_timestamp_seconds 1400.5
infra_agent_last_poll_timestamp_seconds 1800.5
infra_agent_last_rollback_timestamp_seconds 1130.5
infra_agent_manifest_audits_total{result="different"} 0
infra_agent_manifest_audits_total{result="same"} 3
infra_agent_node_info{config="web\"1",environment="prod",wave="canary"} 1
infra_agent_node_role{role="dns"} 1
infra_agent_node_role{role="mail"} 1
infra_agent_notifications_pending{receiver="chat"} 3
infra_agent_notifications_total{receiver="chat",result="delivered"} 5
infra_agent_notifications_total{receiver="chat",result="dropped"} 2
infra_agent_notifications_total{receiver="chat",result="failed"} 4
infra_agent_observed{result="promoted"} 2
infra_agent_observed{result="rolled_back"} 1
infra_agent_odd_files{kind="encrypted"} 1
infra_agent_odd_files{kind="pointer"} 12
infra_agent_out_of_sync_since_timestamp_seconds 1300.5
infra_agent_polls_total{result="changed"} 0
infra_agent_polls_total{result="error"} 1
infra_agent_polls_total{result="unchanged"} 9
infra_agent_reboot_required{component="initrd"} 0
infra_agent_reboot_required{component="kernel"} 1
infra_agent_reboot_required{component="modules"} 0
infra_agent_reboot_required{component="systemd"} 1
infra_agent_reboot_required_since_timestamp_seconds 1960.5
infra_agent_registered 1
infra_agent_revision_commit_timestamp_seconds{stage="running"} 1600.5
infra_agent_revision_commit_timestamp_seconds{stage="verified"} 0
infra_agent_revision_info{revision="",stage="built"} 1
infra_agent_revision_info{revision="aaaa",stage="booted"} 1
infra_agent_revision_info{revision="",stage="good"} 1
infra_agent_revision_info{revision="",stage="verified"} 1
infra_agent_revision_info{revision="bbbb",stage="running"} 1
infra_agent_revision_info{revision="cccc",stage="seen"} 1
infra_agent_revision_reached_timestamp_seconds{stage="good"} 0
infra_agent_revision_reached_timestamp_seconds{stage="running"} 1700.5
infra_agent_revision_reached_timestamp_seconds{stage="seen"} 1500.5
infra_agent_rollback_failed 1
infra_agent_rollbacks_total{reason="activation"} 0
infra_agent_rollbacks_total{reason="agent"} 0
infra_agent_rollbacks_total{reason="check"} 2
infra_agent_rollbacks_total{reason="connectivity"} 0
infra_agent_rollbacks_total{reason="deadline"} 0
infra_agent_rollbacks_total{reason="follow"} 0
infra_agent_rollbacks_total{reason="operator"} 0
infra_agent_rollbacks_total{reason="promotion"} 0
infra_agent_rollbacks_total{reason="reboot"} 0
infra_agent_rollbacks_total{reason="testing"} 0
infra_agent_rollbacks_total{reason="unit"} 0
infra_agent_state{state="activating"} 0
infra_agent_state{state="arming"} 0
infra_agent_state{state="building"} 0
infra_agent_state{state="confirming"} 1
infra_agent_state{state="evaluating"} 0
infra_agent_state{state="held"} 0
infra_agent_state{state="idle"} 0
infra_agent_state{state="promoting"} 0
infra_agent_state{state="rebooting"} 0
infra_agent_state{state="rolling_back"} 0
infra_agent_state{state="stuck"} 0
infra_agent_state{state="verifying"} 0
infra_agent_state{state="verifying_rollback"} 0
infra_agent_state_entered_timestamp_seconds 1200.5
infra_agent_suspended_since_timestamp_seconds 1950.5
infra_agent_suspended_until_timestamp_seconds 2950.5
infra_agent_troubles 0
infra_agent_verifications_total{result="bad_signature"} 0
infra_agent_verifications_total{result="good"} 9
infra_agent_verifications_total{result="not_descendant"} 1
infra_agent_verifications_total{result="unknown_key"} 0
infra_agent_verifications_total{result="unsigned"} 0
infra_agent_window_opens_timestamp_seconds 2100.5
`

func TestAScrapeSaysAll(t *testing.T) {
	var got []string
	for line := range strings.Lines(scrape(t, full())) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "infra_agent_build_info") { // names the Go version
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := strings.Split(strings.TrimSpace(fullText), "\n")
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("unexpected: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d series, want %d", len(got), len(want))
	}
}

// A scrape that has begun when the agent ends gets its whole answer, also one whose connection was accepted at that very moment.
func TestAScrapeIsAnsweredToTheEnd(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c := metrics.New("1.2.3", func() reconcile.Snapshot {
				cancel()
				time.Sleep(lasts)
				return full()
			})
			client, server := net.Pipe()
			l := &listener{conn: server, closed: make(chan struct{})}
			if late {
				l.end = cancel
			}
			var answer []byte
			go func() {
				_, _ = io.WriteString(client, "GET /metrics HTTP/1.0\r\n\r\n")
				answer, _ = io.ReadAll(client)
			}()
			if err := metrics.Serve(ctx, l, c); err != nil {
				t.Error(err)
			}
			if synctest.Wait(); !strings.Contains(string(answer), "infra_agent_window_opens_timestamp_seconds 2100.5\n") {
				t.Errorf("accepted late: %v; the agent is gone, and the scrape has\n%s", late, answer)
			}
		})
	}
}

// lasts is how long a look takes: longer than it takes to close a connection.
const lasts = 50 * time.Millisecond

// A listener accepts one connection: at once or, with an end, when that has come and was seen.
type listener struct {
	net.Listener
	conn   net.Conn
	end    func()
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	conn := l.conn
	if l.end != nil {
		l.end()
	}
	if conn == nil || l.end != nil {
		<-l.closed
		synctest.Wait()
	}
	if l.conn = nil; conn == nil {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// A node with much to tell: forty checks, twenty roles and five receivers.
func large() reconcile.Snapshot {
	s := full()
	resolved := s.Record.Work.Steps[reconcile.PurposeBranch].(reconcile.Resolved)
	resolved.Target.Roles, s.Counters.Checks, s.Deliveries = nil, map[string]reconcile.CheckCount{}, map[string]reconcile.Delivery{}
	for i := range 40 {
		s.Counters.Checks[fmt.Sprintf("the-answer-of-server-%02d", i)] = reconcile.CheckCount{Passed: 1e6, Last: reconcile.CheckResult{OK: true, Took: 12345 * time.Microsecond}}
	}
	for i := range 20 {
		resolved.Target.Roles = append(resolved.Target.Roles, reconcile.Role(fmt.Sprintf("database-server-%02d", i)))
	}
	for i := range 5 {
		s.Deliveries[fmt.Sprintf("chat-of-team-%d", i)] = reconcile.Delivery{Delivered: 1e6}
	}
	s.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: resolved}
	return s
}

func TestAScrapeIsSmall(t *testing.T) {
	const most = 60_000
	if got := len(scrape(t, large())); got > most {
		t.Errorf("a scrape has %d bytes, want at most %d", got, most)
	}
}

func BenchmarkScrape(b *testing.B) {
	scrapes, err := metrics.Handler(metrics.New("1.2.3", large))
	if err != nil {
		b.Fatal(err)
	}
	for format, accept := range map[string]string{"text": "", "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody)
				r.Header.Set("Accept", accept)
				scrapes.ServeHTTP(w, r)
				b.ReportMetric(float64(w.Body.Len()), "bytes")
			}
		})
	}
}
