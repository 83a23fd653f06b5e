//go:build integration

package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/packaging/catalogue"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A good rollout and a failed one, seen by a real Prometheus: what the boards show, which alerts fire and arrive, and that
// a restart of an agent and a reboot lose nothing.
func TestARolloutIsSeen(t *testing.T) {
	f := newFleet(t)
	m, nodes, bad := seeRollouts(t, f)
	web1, web2 := nodes[0], nodes[1]

	t.Log("an agent starts again, and a node boots again")
	m.losesNothing(web1, func() { must[string](t)(web1.Run(t.Context(), "systemctl", "restart", "infra-agent")) })
	m.losesNothing(web2, func() {
		_, _ = web2.Run(t.Context(), "systemctl", "reboot") // the node may be gone before the command ends
		check(t, web2.WaitBoot(t.Context(), 2))
	})

	t.Log("a revert")
	m.arrived("firing", failing...)
	revert := must[string](t)(f.Repo().Revert(bad))
	f.sync()
	for _, n := range nodes {
		n.wait("in sync", inSync(revert))
	}
	m.arrived("resolved", failing[:2]...)
	m.tiles(map[string]float64{"fleet: In sync": 1, "fleet: Failing": 0, "fleet: Held": 0})
	m.hasNothingStale(nodes)
	m.timelinesEnd()
	m.rulesWork()
}

// failing are the alerts of the failed rollout.
var failing = []string{"InfraAgentRolledBack 10.99.0.11:10119", "InfraAgentRolledBack 10.99.0.12:10119", "InfraAgentRolloutUnhealthy"}

// seeRollouts returns who saw a good rollout and then a failed one, the nodes, and the commit that failed on two of them.
func seeRollouts(t *testing.T, f fleet) (m *monitoring, nodes []*node, bad string) {
	t.Helper()
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	registry = strings.NewReplacer(
		"[nodes.web1]", "[nodes.web1]\nwave = \"canary\"\nenvironment = \"production\"",
		"description = \"Web servers\"", "checks.web = { kind = \"unit\", unit = \"lab-web.service\" }",
	).Replace(registry)
	f.push("a canary and a check", map[string]string{"infrastructure.toml": registry + "\n[waves]\norder = [\"canary\"]\n"})
	m = monitor(t, f)
	nodes = f.up("web1", "web2", "db1")
	web1, web2, db1 := nodes[0], nodes[1], nodes[2]

	t.Log("a good rollout")
	good := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web1.wait("promoted", ended(reconcile.ResultPromoted, good))
	web2.wait("promoted", ended(reconcile.ResultPromoted, good))
	db1.wait("in sync", inSync(good))
	m.look(db1)
	m.tiles(map[string]float64{
		"fleet: In sync": 1, "fleet: Nodes": 3, "fleet: Unreachable": 0, "fleet: Failing": 0, "fleet: Held": 0, "fleet: Not following": 0,
		"node: In sync": 1,
	})
	m.fires()

	t.Log("a failed one")
	running := web1.toplevel(lab.CurrentSystem)
	bad = f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web1.rolledBack(bad, running, reconcile.ReasonUnit)
	web2.wait("rolled back", ended(reconcile.ResultRolledBack, bad))
	db1.wait("in sync", inSync(bad))
	m.look(db1)
	m.tiles(map[string]float64{
		"fleet: In sync": 1.0 / 3, "fleet: Nodes": 3, "fleet: Unreachable": 0, "fleet: Failing": 2, "fleet: Held": 2, "fleet: Not following": 0,
		"node: In sync": 0,
	})
	m.values(map[string]float64{ // the durations are a native histogram: it has counts, and quantiles of what it was asked for by no bucket
		`histogram_count(infra_agent_phase_duration_seconds{node="web1", phase="activate"})`:                                                                                     2,
		`histogram_count(infra_agent_phase_duration_seconds{node="web1", phase="rollback"})`:                                                                                     1,
		`histogram_count(infra_agent_phase_duration_seconds{node="db1", phase="rollback"})`:                                                                                      0,
		`count({__name__=~"infra_agent_phase_duration_seconds_.+"}) or vector(0)`:                                                                                                0,
		`histogram_quantile(0.95, sum(infra_agent_phase_duration_seconds{phase="activate"})) > bool 0`:                                                                           1,
		`max(scrape_samples_scraped{job="infra-agent", node="db1"} - on (node) count by (node) ({__name__=~"infra_agent_(node_role|health_check_.+)", node="db1"})) <= bool 125`: 1,
	})
	m.arrived("firing", failing...)
	m.fires(failing...)
	const summary = "100% of the nodes that deployed in the last half hour rolled back."
	if got := m.newest("InfraAgentRolloutUnhealthy").Annotations["summary"]; got != summary {
		t.Errorf("the receiver was told %q, want %q", got, summary)
	}
	for what, q := range questions(t, m.start) {
		if empty, err := m.showsNothing(q); err != nil || empty {
			t.Errorf("%s shows nothing: %v", what, err)
		}
	}
	return m, nodes, bad
}

// Of the boot, and of the running agent, which polls and looks at the commit anew; not of what the node has been through.
var ofTheProcess = regexp.MustCompile(`^infra_agent_(polls_total|last_poll_\w+|health_check_\w+|config_last_reload_success_timestamp_seconds|` +
	`(last_)?phase_duration_seconds\{phase="(fetch|verify|evaluate)"\}|verifications_total\{result="good"\}|.*="booted"\})`)

// losesNothing compares what Prometheus has of a held node before and after it was disturbed.
func (m *monitoring) losesNothing(n *node, disturb func()) {
	m.t.Helper()
	mine := fmt.Sprintf(`{node=%q, __name__=~"infra_agent_.+"}`, n.Name())
	const started = "infra_agent_config_last_reload_success_timestamp_seconds"
	before := must[vector](m.t)(m.query(mine))
	disturb()
	n.wait("held", func(s control.Status) bool { return s.Running && s.State == "held" && !s.LastPoll.IsZero() })
	m.until(func() error {
		after, err := m.query(mine)
		if err != nil || after[started] <= before[started] {
			return fmt.Errorf("Prometheus has not seen the new agent of %s: %w", n.Name(), err)
		}
		var all error
		for series := range union(before, after) {
			was, had := before[series]
			is, has := after[series]
			if (had != has || was != is) && !ofTheProcess.MatchString(series) {
				all = errors.Join(all, fmt.Errorf("%s: %s was %v (%v), and is %v (%v)", n.Name(), series, was, had, is, has))
			}
		}
		return all
	})
}

func union(a, b vector) vector {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// hasNothingStale looks at all that Prometheus has ever had of the nodes, and compares what it has now with what they say.
func (m *monitoring) hasNothingStale(nodes []*node) {
	m.t.Helper()
	m.values(map[string]float64{ // all the time
		`max(max_over_time((count by (node, stage) (infra_agent_revision_info))[1h:1s]))`: 1,
		`max(max_over_time((count by (node) (infra_agent_node_info))[1h:1s]))`:            1,
		`max(max_over_time((sum by (node) (infra_agent_state))[1h:1s]))`:                  1,
		`min(min_over_time((sum by (node) (infra_agent_state))[1h:1s]))`:                  1,
		`max(resets(infra_agent_deployments_total[1h]))`:                                  0,
		`max(resets(infra_agent_rollbacks_total[1h]))`:                                    0,
		`max(resets(infra_agent_verifications_total[1h]))`:                                0,
	})
	for _, n := range nodes {
		m.until(func() error {
			has, err := m.query(fmt.Sprintf(`{node=%q, __name__=~"infra_agent_.+"}`, n.Name()))
			says := vector{}
			for line := range strings.Lines(n.metrics()) {
				if name, _, is := strings.Cut(line, " "); is && name != "#" {
					says[withoutValue.ReplaceAllString(name, "")] = 0
				}
			}
			for series := range union(has, says) {
				_, real := says[series]
				if strings.HasPrefix(series, "infra_agent_phase_duration_seconds{") { // a text has no native histogram
					continue
				}
				if _, stored := has[series]; stored != real {
					err = errors.Join(err, fmt.Errorf("%s: %s: Prometheus has it: %v, the agent: %v", n.Name(), series, stored, real))
				}
			}
			return err
		})
	}
}

// withoutValue matches a label without a value, which is none to Prometheus.
var withoutValue = regexp.MustCompile(`\w+="",|,?\w+=""`)

// rulesWork says whether Prometheus evaluates every rule without an error, and each recording rule records something.
func (m *monitoring) rulesWork() {
	m.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Type, Health, LastError string }
		}
	}
	check(m.t, m.ask("rules", nil, &data))
	var names []string
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Name)
			if r.Health != "ok" || r.LastError != "" {
				m.t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
			if r.Type != "recording" {
				continue
			}
			if got := must[vector](m.t)(m.query(fmt.Sprintf(`count(last_over_time({__name__=%q}[1h]))`, r.Name))); len(got) == 0 {
				m.t.Errorf("rule %s never recorded anything", r.Name)
			}
		}
	}
	var want []string
	for _, r := range catalogue.Rules(string(must[[]byte](m.t)(os.ReadFile("../packaging/prometheus/infra-agent.rules.yml")))) {
		want = append(want, r.Name)
	}
	slices.Sort(names) // groups have another order
	slices.Sort(want)
	if !slices.Equal(names, want) {
		m.t.Errorf("Prometheus has the rules %q, want %q", names, want)
	}
}
