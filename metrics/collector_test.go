package metrics_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

func gather(t *testing.T, s reconcile.Snapshot) []*dto.MetricFamily {
	t.Helper()
	return gatherFrom(t, metrics.New("1.2.3", func() reconcile.Snapshot { return s }))
}

func gatherFrom(t *testing.T, c *metrics.Collector) []*dto.MetricFamily {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

const (
	topA = reconcile.Toplevel("/nix/store/aaa-nixos-system-web")
	topB = reconcile.Toplevel("/nix/store/bbb-nixos-system-web")
)

func TestNamesAndHelpsAreInGoodForm(t *testing.T) {
	problems, err := promlint.NewWithMetricFamilies(gather(t, full())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	text := scrape(t, full())
	for _, want := range []string{
		"# HELP infra_agent_in_sync Whether the node runs the newest verified revision, confirmed (1) or not (0).\n# TYPE infra_agent_in_sync gauge\n",
		"# TYPE infra_agent_deployments_total counter\n",
		`infra_agent_build_info{goversion="go1.`,
		`version="1.2.3"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape lacks %q", want)
		}
	}
}

// A mistake in what is shown fails the scrape, and not the agent.
func TestAPanicFailsTheScrape(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(metrics.New("1.2.3", func() reconcile.Snapshot { panic("index out of range") }))
	if _, err := reg.Gather(); err == nil || !strings.Contains(err.Error(), "a bug in infra-agent: index out of range") {
		t.Errorf("got %v", err)
	}
}

// Every value of a closed set has a series from the start, so that rules can join
// and rates see the first increase. Only node_role, odd_files and the metrics of checks
// and receivers have none before there is something to tell.
func TestEverySeriesExistsFromTheStart(t *testing.T) {
	values := func(s reconcile.Snapshot) map[string][]string {
		all := map[string][]string{}
		for _, f := range gather(t, s) {
			for _, m := range f.GetMetric() {
				var labels []string
				for _, l := range m.GetLabel() {
					if open := []string{"revision", "config", "environment", "wave"}; !slices.Contains(open, l.GetName()) {
						labels = append(labels, l.GetName()+"="+l.GetValue())
					}
				}
				all[f.GetName()] = append(all[f.GetName()], strings.Join(labels, ","))
			}
			slices.Sort(all[f.GetName()])
		}
		return all
	}
	want := values(full())
	maps.DeleteFunc(want, func(name string, _ []string) bool {
		return name == "infra_agent_node_role" || name == "infra_agent_odd_files" || strings.HasPrefix(name, "infra_agent_health_check_") || strings.HasPrefix(name, "infra_agent_notifications_")
	})
	if got := values(reconcile.Snapshot{Record: reconcile.New()}); !reflect.DeepEqual(got, want) {
		t.Errorf("at the start there are\n%v, want\n%v", got, want)
	}
}

func value(t *testing.T, s reconcile.Snapshot, name string, labels ...string) float64 {
	t.Helper()
	for _, f := range gather(t, s) {
		if f.GetName() != "infra_agent_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if slices.Equal(has, labels) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no series %s%q", name, labels)
	return 0
}

func TestExactlyOneStateIsSet(t *testing.T) {
	fetched := reconcile.Fetched{}
	jobs := map[string]reconcile.Job{
		"idle": nil, "verifying": reconcile.Fetch{}, "evaluating": reconcile.Resolve{From: fetched}, "building": reconcile.Build{},
	}
	seen := map[string]bool{}
	check := func(want string, s reconcile.Snapshot) {
		t.Helper()
		seen[want] = true
		for _, state := range reconcile.States {
			on := 0.0
			if state == want {
				on = 1
			}
			if got := value(t, s, "state", state); got != on {
				t.Errorf("while %s, state %s is %v, want %v", want, state, got, on)
			}
		}
	}
	for state, job := range jobs {
		check(state, reconcile.Snapshot{Record: reconcile.New(), Observation: reconcile.Observation{Job: job}})
	}
	check("held", reconcile.Snapshot{Record: reconcile.New(), Holds: []reconcile.Hold{{Gate: reconcile.GateDrift}}})
	for _, p := range []reconcile.Phase{
		reconcile.Arming{},
		reconcile.Activating{},
		reconcile.Confirming{},
		reconcile.Promoting{},
		reconcile.RollingBack{},
		reconcile.VerifyingRollback{},
		reconcile.RebootingBack{},
		reconcile.Stuck{},
	} {
		check(reconcile.Name(p), reconcile.Snapshot{Record: reconcile.Record{Phase: p}})
	}
	if len(seen) != len(reconcile.States) {
		t.Errorf("%d of %d states were seen: %v", len(seen), len(reconcile.States), slices.Sorted(maps.Keys(seen)))
	}
}

// A state that is a job of an idle node begins with the job, not with the rest before it.
func TestSinceWhenAStateLasts(t *testing.T) {
	s := full()
	s.Record.Phase, s.JobSince = reconcile.Idle{}, at(1990)
	for _, tt := range []struct {
		job  reconcile.Job
		want float64
	}{{nil, 1200.5}, {reconcile.Tidy{}, 1200.5}, {reconcile.Build{}, 1990.5}} {
		s.Observation.Job = tt.job
		if got := value(t, s, "state_entered_timestamp_seconds"); got != tt.want {
			t.Errorf("with job %T the state is entered at %v, want %v", tt.job, got, tt.want)
		}
	}
}

// A trial that waits for a person has no deadline: nobody goes back then.
func TestAHeldTrialHasNoDeadline(t *testing.T) {
	s := full()
	p := s.Record.Phase.(reconcile.Confirming)
	p.Held = "check web is red"
	s.Record.Phase = p
	if got := value(t, s, "confirm_deadline_timestamp_seconds"); got != 0 {
		t.Errorf("the deadline of a held trial is %v, want 0", got)
	}
}

// The catalogue is what every node costs Prometheus, its checks, roles, receivers and odd files beside.
func TestANodeHasAtMost125Series(t *testing.T) {
	c := metrics.New("1.2.3", func() reconcile.Snapshot { return reconcile.Snapshot{Record: reconcile.New()} })
	for what, c := range map[string]*metrics.Collector{"in the text format": c, "with native histograms": c.Native()} {
		n := 0
		for _, f := range gatherFrom(t, c) {
			n += len(f.GetMetric())
		}
		if n > 125 {
			t.Errorf("a node has %d series %s, want at most 125", n, what)
		}
	}
}

// Each phase is one native histogram, without classic buckets, and is there from the start.
func TestPhasesAreNativeHistograms(t *testing.T) {
	s := full()
	for _, f := range gatherFrom(t, metrics.New("1.2.3", func() reconcile.Snapshot { return s }).Native()) {
		if f.GetName() != "infra_agent_phase_duration_seconds" {
			continue
		}
		var phases []string
		for _, m := range f.GetMetric() {
			h, phase := m.GetHistogram(), m.GetLabel()[0].GetValue()
			phases = append(phases, phase)
			if len(h.GetBucket()) > 0 || len(h.GetPositiveSpan()) == 0 || h.GetSchema() != 2 {
				t.Errorf("%s is no native histogram: %v", phase, h)
			}
			count, sum := uint64(0), 0.0
			if phase == "build" { // one of 90 s, two of 2 s: in buckets 26 and 4
				count, sum = 3, 94
				if span := h.GetPositiveSpan(); len(span) != 2 || span[0].GetOffset() != 4 || span[1].GetOffset() != 21 || !slices.Equal(h.GetPositiveDelta(), []int64{2, -1}) {
					t.Errorf("the builds are in %v with %v", span, h.GetPositiveDelta())
				}
			}
			if h.GetSampleCount() != count || h.GetSampleSum() != sum {
				t.Errorf("%s has %d runs of %v s, want %d of %v s", phase, h.GetSampleCount(), h.GetSampleSum(), count, sum)
			}
		}
		if want := []string{"activate", "build", "confirm", "evaluate", "fetch", "promote", "rollback", "verify"}; !slices.Equal(phases, want) {
			t.Errorf("there are the phases %q, want %q", phases, want)
		}
		return
	}
	t.Error("there is no such metric")
}

// Only who asks for protobuf gets them: in the text format each would be three series more.
func TestHistogramsAreServedToWhoCanReadThem(t *testing.T) {
	scrapes, err := metrics.Handler(metrics.New("1.2.3", full))
	if err != nil {
		t.Fatal(err)
	}
	// What Prometheus sends with native histograms switched on, and what it sends else.
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,"
	const text = "application/openmetrics-text;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	for accept, want := range map[string]bool{protobuf + text: true, text: false, "": false} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
		r.Header.Set("Accept", accept)
		scrapes.ServeHTTP(w, r)
		has := strings.Contains(w.Body.String(), "infra_agent_phase_duration_seconds")
		if is := strings.HasPrefix(w.Header().Get("Content-Type"), "application/vnd.google.protobuf"); w.Code != http.StatusOK || is != want || has != want {
			t.Errorf("asked for %q: %d, protobuf %v, histograms %v; want both %v", accept, w.Code, is, has, want)
		}
	}
}

func TestInSyncAndDrift(t *testing.T) {
	s := full()
	s.Record.Phase, s.Record.Good = reconcile.Idle{}, reconcile.System{Toplevel: topB, Revision: "bbbb"}
	s.Record.Work.Tip.Commit = "bbbb"
	for name, want := range map[string]float64{"in_sync": 1, "head_verified": 1, "commits_behind": 0, "confirm_deadline_timestamp_seconds": 0} {
		if got := value(t, s, name); got != want {
			t.Errorf("at rest %s is %v, want %v", name, got, want)
		}
	}
	for kind, want := range map[string]float64{"running": 0, "profile": 1, "boot_default": 1} {
		if got := value(t, s, "drift", kind); got != want {
			t.Errorf("drift %s is %v, want %v", kind, got, want)
		}
	}
	s.Observation.Policy.Observe = true // the slots are another tool's
	for _, kind := range []string{"running", "profile", "boot_default"} {
		if got := value(t, s, "drift", kind); got != 0 {
			t.Errorf("drift %s is %v where another tool deploys, want 0", kind, got)
		}
	}
	s.Observation.Policy.Observe = false
	s.Observation.Slots = reconcile.Slots{} // unknown is not drift
	for _, kind := range []string{"running", "profile", "boot_default"} {
		if got := value(t, s, "drift", kind); got != 0 {
			t.Errorf("drift %s of what cannot be read is %v, want 0", kind, got)
		}
	}
}
