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
	p := watchCrowd(b, c)
	time.Sleep(c.Every) // a commit goes round

	asked := map[string]time.Duration{}
	for what, q := range boardOf(p) {
		asked[what] = median(func() { must[bool](b)(p.showsNothing(q)) })
	}
	var slowest time.Duration
	for _, what := range slices.Sorted(maps.Keys(asked)) {
		b.Logf("%8.1f ms  %s", milliseconds(asked[what]), what)
		slowest = max(slowest, asked[what])
	}
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

// watchCrowd returns a Prometheus that has scraped every node, as often as it does unless told otherwise.
func watchCrowd(b *testing.B, c crowd.Crowd) *prometheus {
	b.Helper()
	proxy := httptest.NewUnstartedServer(c)
	proxy.Config.SetKeepAlivesEnabled(false) // Prometheus would keep a connection for each node
	proxy.Start()
	b.Cleanup(proxy.Close)
	s := inServersTree(b)
	s.write("targets.json", string(must[[]byte](b)(json.Marshal([]any{map[string]any{"targets": c.Targets()}}))))
	p := startPrometheus(s, fmt.Sprintf(`
scrape_configs:
- {job_name: infra-agent, proxy_url: %q, file_sd_configs: [{files: [DIR/targets.json]}]}
- {job_name: prometheus, static_configs: [{targets: [SELF]}]}
`, proxy.URL))
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
	var shown []string
	var answer struct {
		Result []struct{ Metric map[string]string }
	}
	check(p.t, p.ask("query", all["fleet: variable shown"].parameters, &answer))
	for _, s := range answer.Result {
		shown = append(shown, s.Metric["instance"])
	}
	for _, q := range all {
		q.parameters.Set("query", strings.ReplaceAll(q.parameters.Get("query"), `instance=~".*"`, fmt.Sprintf("instance=~%q", strings.Join(shown, "|"))))
		if q.parameters.Has("step") {
			q.parameters.Set("end", unix(time.Now()))
			q.parameters.Set("step", fmt.Sprint(time.Since(p.start).Seconds()/points))
		}
	}
	return all
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
