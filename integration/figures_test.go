//go:build integration

package integration

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Hard limits of an agent that has been polling and scraped for a while.
const (
	maxAnonymousKiB = 6 << 10
	maxResidentKiB  = 22 << 10 // most of it pages of the program, which the kernel may drop
)

func TestIdleAgentIsSmallAndWritesNothing(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	const record = "/var/lib/infra-agent/state.json"
	before := must[string](t)(web.Run(t.Context(), "stat", "-c", "%i %Y", record))
	written := web.writtenBytes()
	start := web.metric(`infra_agent_polls_total{result="unchanged"}`)
	for polls := 0.0; polls < 100; polls = web.metric(`infra_agent_polls_total{result="unchanged"}`) - start {
		web.sync()
	}
	if after := must[string](t)(web.Run(t.Context(), "stat", "-c", "%i %Y", record)); after != before {
		t.Errorf("the record was written during idle polls: inode and time %s, before %s", after, before)
	}
	if now := web.writtenBytes(); now != written {
		t.Errorf("the agent wrote %d bytes to disk during idle polls, want none", now-written)
	}
	anonymous, resident := web.memory()
	t.Logf("after 100 polls and as many scrapes: RssAnon %d KiB, VmRSS %d KiB", anonymous, resident)
	if anonymous > maxAnonymousKiB {
		t.Errorf("RssAnon is %d KiB, want at most %d", anonymous, maxAnonymousKiB)
	}
	if resident > maxResidentKiB {
		t.Errorf("VmRSS is %d KiB, want at most %d", resident, maxResidentKiB)
	}
}

// What metrics, the journal's fields and notices cost an agent, of anonymous memory.
const maxWatchedKiB = 2 << 10

func TestMetricsAndEventsAreSmall(t *testing.T) {
	f := newFleet(t)
	silent := f.edit("config.toml", "[control]", "[metrics]\nlisten = \"\"\n\n[log]\nformat = \"text\"\n\n[control]")
	web := f.up("web1")[0]
	memory := func(poll func()) int {
		t.Helper()
		for range 100 {
			before := web.wait("polled", func(s control.Status) bool { return s.Running }).LastPoll
			poll()
			web.wait("polled again", func(s control.Status) bool { return s.LastPoll.After(before) })
		}
		anonymous, _ := web.memory()
		return anonymous
	}
	web.wait("in sync", inSync(silent))
	without := memory(web.sync)
	watched := f.edit("config.toml", "[metrics]\nlisten = \"\"\n\n[log]\nformat = \"text\"\n", `[[notify.webhooks]]
name = "chat"
url = "http://10.99.0.1:9/"
events = ["promoted", "suspended", "resumed"]
`)
	web.wait("promoted", ended(reconcile.ResultPromoted, watched))
	with := memory(func() {
		web.metrics()
		must[string](t)(web.agent("suspend", "a figure"))
		must[string](t)(web.agent("resume"))
		web.sync()
	})
	if web.metric(`infra_agent_notifications_total{receiver="chat",result="failed"}`) == 0 {
		t.Error("nothing was told")
	}
	t.Logf("RssAnon %d KiB, and %d KiB with 100 scrapes and 200 notices for a receiver that does not answer", without, with)
	if more := with - without; more > maxWatchedKiB {
		t.Errorf("they cost %d KiB of RssAnon, want at most %d", more, maxWatchedKiB)
	}
}

func TestOneEvaluationACommit(t *testing.T) {
	evaluatesOnce(t, newFleet(t))
}

func TestOneEvaluationACommitWithoutRevision(t *testing.T) {
	f := newFleet(t)
	settings := must[string](t)(f.Repo().File("config.toml"))
	must[string](t)(f.Repo().Commit("self.rev is hidden", map[string]string{
		"config.toml":       strings.Replace(settings, "[source]", "[source]\nexpose_revision = false", 1),
		"roles/default.nix": "{ self, ... }: { configurationRevision = self.rev or \"hidden\"; }\n",
	}))
	web := evaluatesOnce(t, f)
	const revision = "/run/current-system/configuration-revision"
	if got := must[string](t)(web.Read(revision)); got != "hidden" {
		t.Errorf("the configuration saw the revision %q", got)
	}
	t.Log("a commit that changes nothing is not activated")
	commit := f.push("a comment", map[string]string{"README": "more"})
	s := web.wait("in sync", inSync(commit))
	if last, _ := last(s); last.Revision == reconcile.Commit(commit) {
		t.Errorf("the commit was deployed, want only that the node is in sync with it")
	}
}

func TestOneEvaluationACommitWithoutAFlake(t *testing.T) {
	f := newFleet(t)
	f.withoutFlake()
	evaluatesOnce(t, f)
}

// evaluatesOnce deploys a commit whose evaluation says that it takes place.
func evaluatesOnce(t *testing.T, f fleet) *node {
	t.Helper()
	web := f.up("web1")[0]
	t.Log("every nix on the node also writes down what it says on standard error")
	must[string](t)(web.Run(t.Context(), "mv", "/usr/bin/nix", "/usr/lib/nix"))
	wrapper := "#!/bin/bash\nexec 2> >(tee -a /var/log/nix.log >&2)\nexec -a \"${0##*/}\" /usr/lib/nix \"$@\"\n"
	check(t, web.Write("/usr/bin/nix", wrapper, 0o755))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	commit := f.push("an evaluation that says so", map[string]string{
		"roles/web.nix": "{ ... }: builtins.trace \"lab: evaluated\" {" + strings.Replace(unitsOf(role), "VERSION=1", "VERSION=2", 1),
	})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	log := must[string](t)(web.Read("/var/log/nix.log"))
	if got := strings.Count(log, "lab: evaluated"); got != 1 {
		t.Errorf("evaluated %d times, want once:\n%s", got, log)
	}
	return web
}

// BenchmarkDeployment reports what the agent adds to a deployment beyond Nix, the activation and the time it was told to
// wait; and how long beyond its window a confirmation takes, with and without other settings to be shown to follow.
func BenchmarkDeployment(b *testing.B) {
	f := benchFleet(b)
	web := f.up("web1")[0]
	const window = 2 // seconds
	for i := range b.N {
		commit := f.edit("roles/web.nix", fmt.Sprintf("VERSION=%d", i+1), fmt.Sprintf("VERSION=%d", i+2))
		s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
		total := s.History[len(s.History)-1].Ended.Sub(s.TipSeen).Seconds()
		rest := total
		for _, phase := range []string{"fetch", "evaluate", "build", "activate", "confirm", "promote"} {
			rest -= web.took(phase)
		}
		b.ReportMetric(total*1000, "ms/deployment")
		b.ReportMetric(rest*1000, "ms-overhead/deployment")
		b.ReportMetric((web.took("confirm")-window)*1000, "ms-beyond-window")
		settings := f.edit("config.toml", fmt.Sprintf("interval = \"%ds\"", i+5), fmt.Sprintf("interval = \"%ds\"", i+6))
		web.wait("promoted", ended(reconcile.ResultPromoted, settings))
		b.ReportMetric((web.took("confirm")-window)*1000, "ms-beyond-window-with-other-settings")
	}
}

// took returns how many seconds a phase of the last deployment took.
func (n *node) took(phase string) float64 {
	return n.metric(`infra_agent_last_phase_duration_seconds{phase="` + phase + `"}`)
}

// benchFleet is newFleet for benchmarks.
func benchFleet(b *testing.B) fleet {
	agent := must[string](b)(builtAgent())
	l := must[*lab.Lab](b)(lab.New(lab.Options{Agents: map[string]string{agentVersion: agent}}))
	b.Cleanup(func() { _ = l.Close() })
	return fleet{l, b, new([]*node)}
}

// BenchmarkOneFileOf3000 reports what a push of one changed file costs on a node: the processor
// time of all that runs there from the poll to the store path, and what git's own fetch and
// checkout take for the same.
func BenchmarkOneFileOf3000(b *testing.B) {
	f := benchFleet(b)
	web := f.up("web1")[0]
	files := map[string]string{}
	content := rand.New(rand.NewPCG(1, 2))
	fill := func(i int) (string, string) {
		text := make([]byte, 2000)
		for j := range text {
			text[j] = byte('!' + content.IntN(90))
		}
		return fmt.Sprintf("files/d%02d/f%04d.nix", i%60, i), string(text)
	}
	for i := range 3000 {
		path, text := fill(i)
		files[path] = text
	}
	f.edit("infrastructure.toml", "[nodes.web1]", "[nodes.web1]\nhold = \"only fetched\"")
	verified := func(commit string) {
		series := fmt.Sprintf("infra_agent_revision_info{revision=%q,stage=\"verified\"}", commit)
		for web.metric(series) == 0 {
			time.Sleep(300 * time.Millisecond) // each look costs two milliseconds
		}
	}
	verified(f.push("3000 files", files))
	must[string](b)(web.Run(b.Context(), "sh", "-c", "cd /root && git clone --quiet --depth=1 "+lab.GitURL+" fleet"))
	cost := func(what func()) float64 {
		before := must[time.Duration](b)(web.CPU())
		what()
		return float64((must[time.Duration](b)(web.CPU()) - before).Milliseconds())
	}
	for i := range b.N {
		path, text := fill(i)
		commit := must[string](b)(f.Repo().Commit("one file", map[string]string{path: text}))
		ours := cost(func() {
			check(b, web.Write("/run/infra-agent/sync", "", 0o600)) // as a webhook does: no program is run for it
			verified(commit)
		})
		gits := cost(func() {
			must[string](b)(web.Run(b.Context(), "sh", "-c", "cd /root/fleet && git pull --quiet"))
		})
		b.ReportMetric(ours, "cpu-ms/push")
		b.ReportMetric(gits, "git-cpu-ms/push")
	}
}

func (n *node) pid() string {
	return strings.TrimSpace(must[string](n.t)(n.Run(n.t.Context(), "systemctl", "show", "-P", "MainPID", "infra-agent")))
}

// memory returns the agent's anonymous and resident memory in KiB, proc(5).
func (n *node) memory() (anonymous, resident int) {
	n.t.Helper()
	status := must[string](n.t)(n.Run(n.t.Context(), "cat", "/proc/"+n.pid()+"/status"))
	for line := range strings.Lines(status) {
		var kib int
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kib); err == nil {
			anonymous = kib
		}
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			resident = kib
		}
	}
	return anonymous, resident
}

// writtenBytes returns what the agent handed to the file system, proc(5) io.
func (n *node) writtenBytes() int {
	n.t.Helper()
	var bytes int
	for line := range strings.Lines(must[string](n.t)(n.Run(n.t.Context(), "cat", "/proc/"+n.pid()+"/io"))) {
		_, _ = fmt.Sscanf(line, "write_bytes: %d", &bytes)
	}
	return bytes
}

// metric scrapes the agent and returns one series; 0 when it has none.
func (n *node) metric(series string) float64 {
	n.t.Helper()
	for line := range strings.Lines(n.metrics()) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return must[float64](n.t)(strconv.ParseFloat(strings.TrimSpace(value), 64))
		}
	}
	return 0
}

// metrics returns what the agent serves to Prometheus.
func (n *node) metrics() string {
	n.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return n.Dial(ctx, network, addr)
		},
	}}
	resp := must[*http.Response](n.t)(client.Get("http://127.0.0.1:10119/metrics"))
	defer resp.Body.Close()
	return string(must[[]byte](n.t)(io.ReadAll(resp.Body)))
}

func TestMetricsTellTheRollout(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	good := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, good))
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.wait("rolled back", ended(reconcile.ResultRolledBack, bad))
	web.wait("held", func(s control.Status) bool { return s.State == "held" })
	for series, want := range map[string]float64{
		`infra_agent_revision_info{revision="` + good + `",stage="good"}`:    1,
		`infra_agent_revision_info{revision="` + good + `",stage="running"}`: 1,
		`infra_agent_revision_info{revision="` + bad + `",stage="verified"}`: 1,
		`infra_agent_deployments_total{result="promoted"}`:                   1,
		`infra_agent_deployments_total{result="rolled_back"}`:                1,
		`infra_agent_rollbacks_total{reason="unit"}`:                         1,
		`infra_agent_gate_blocked{gate="blocked"}`:                           1,
		`infra_agent_in_sync`:                 0,
		`infra_agent_registered`:              1,
		`infra_agent_node_role{role="web"}`:   1,
		`infra_agent_state{state="held"}`:     1,
		`infra_agent_generation{slot="good"}`: 2,
		`infra_agent_rollback_failed`:         0,
	} {
		if got := web.metric(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}
