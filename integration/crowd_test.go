//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/integration/crowd"
)

// BenchmarkTenThousandNodes reports what a view of so many nodes costs a real Prometheus, while it scrapes them: the slowest
// question of the fleet board, over as many points as Grafana draws, and "infra-agent fleet".
func BenchmarkTenThousandNodes(b *testing.B) {
	c := crowd.Crowd{Nodes: 10_000, Every: 3 * time.Minute}
	agent := must[string](b)(builtAgent())
	p := watchCrowd(b, c, "1m")
	time.Sleep(c.Every) // a commit goes round

	var slowest time.Duration
	for what, q := range boardOf(p) {
		took := median(func() { must[bool](b)(p.showsNothing(q)) })
		if took > slowQuestion {
			b.Logf("%8.1f ms  %s: %s", milliseconds(took), what, q.parameters.Get("query")+q.parameters.Get("match[]"))
		}
		slowest = max(slowest, took)
	}
	logSlowRules(b, p)
	for _, args := range [][]string{{"fleet"}, {"fleet", "--json"}} {
		took := median(func() {
			out, err := exec.CommandContext(b.Context(), agent, append(args, "--prometheus", strings.TrimSuffix(p.api, "/api/v1/"))...).CombinedOutput()
			if err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		})
		b.ReportMetric(milliseconds(took), "ms/"+strings.Join(args, ""))
	}
	for name, expr := range map[string]string{"series": "sum(scrape_samples_scraped)", "s/rules": "sum(prometheus_rule_group_last_duration_seconds)"} {
		for _, value := range must[vector](b)(p.query(expr)) {
			b.ReportMetric(value, name)
		}
	}
	b.ReportMetric(milliseconds(slowest), "ms/question")
}

// slowQuestion is how long a question of the fleet board may take, and half of what a rule may.
const slowQuestion = 50 * time.Millisecond

// logSlowRules says which rules take long, and how long.
func logSlowRules(b *testing.B, p *prometheus) {
	b.Helper()
	var data struct {
		Groups []struct {
			Rules []struct {
				Name           string
				EvaluationTime float64 // seconds
			}
		}
	}
	check(b, p.ask("rules", nil, &data))
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if took := time.Duration(r.EvaluationTime * float64(time.Second)); took > 2*slowQuestion {
				b.Logf("%8.1f ms  rule %s", milliseconds(took), r.Name)
			}
		}
	}
}

// However many nodes there are, the fleet board reads few series: no question of it reads one of each node. What a question
// costs is how many samples it reads.
func TestFleetBoardReadsFewSeries(t *testing.T) {
	const most = 500
	c := crowd.Crowd{Nodes: 2 * most, Every: 10 * time.Minute}
	p := watchCrowd(t, c, "10s")
	for what, q := range boardOf(p) {
		if q.path == "query_range" { // of each point as of one
			q.path = "query"
		}
		if q.path != "query" {
			continue
		}
		q.parameters.Set("stats", "all")
		var answer struct {
			Stats struct {
				Samples struct{ TotalQueryableSamples int }
			}
		}
		check(t, p.ask(q.path, q.parameters, &answer))
		if n := answer.Stats.Samples.TotalQueryableSamples; n > most {
			t.Errorf("%s reads %d samples, want at most %d: %s", what, n, most, q.parameters.Get("query"))
		}
	}
}

// watchCrowd returns a Prometheus that has scraped every node, as often as it is told.
func watchCrowd(b testing.TB, c crowd.Crowd, every string) *prometheus {
	b.Helper()
	proxy := httptest.NewUnstartedServer(c)
	proxy.Config.SetKeepAlivesEnabled(false) // Prometheus would keep a connection for each node
	proxy.Start()
	b.Cleanup(proxy.Close)
	s := inServersTree(b)
	s.write("targets.json", string(must[[]byte](b)(json.Marshal([]any{map[string]any{"targets": c.Targets()}}))))
	p := startPrometheus(s, fmt.Sprintf(`
global: {scrape_interval: %s, evaluation_interval: %[1]s}
scrape_configs:
- {job_name: infra-agent, proxy_url: %[2]q, file_sd_configs: [{files: [DIR/targets.json]}]}
- {job_name: prometheus, static_configs: [{targets: [SELF]}]}
`, every, proxy.URL))
	p.patience = 10 * time.Minute
	p.values(map[string]float64{"count(infra_agent_node_info)": float64(c.Nodes), "sum(environment_wave:infra_agent_nodes:count)": float64(c.Nodes)})
	return p
}

// boardOf is what the fleet board asks on a wide screen, since Prometheus began.
func boardOf(p *prometheus) map[string]question {
	p.t.Helper()
	const points = 720
	all := questions(p.t, p.start)
	maps.DeleteFunc(all, func(what string, _ question) bool { return !strings.HasPrefix(what, "fleet: ") })
	for what, q := range all {
		chosen := "shown"
		if strings.HasPrefix(what, "fleet: Nodes behind") {
			chosen = "behind"
		}
		q.parameters.Set("query", strings.ReplaceAll(q.parameters.Get("query"), `instance=~".*"`, fmt.Sprintf("instance=~%q", p.instances(all["fleet: variable "+chosen]))))
		if q.parameters.Has("step") {
			q.parameters.Set("end", unix(time.Now()))
			q.parameters.Set("step", fmt.Sprint(time.Since(p.start).Seconds()/points))
		}
	}
	return all
}

// instances are those in an answer, as a variable of the board has them.
func (p *prometheus) instances(q question) string {
	var answer struct {
		Result []struct{ Metric map[string]string }
	}
	check(p.t, p.ask("query", q.parameters, &answer))
	var all []string
	for _, s := range answer.Result {
		all = append(all, s.Metric["instance"])
	}
	return strings.Join(all, "|")
}

// median is how long something takes, the third of five times.
func median(what func()) time.Duration {
	var took []time.Duration
	for range 5 {
		start := time.Now()
		what()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
