package prometheus_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/packaging/catalogue"
	"github.com/infra-agent/infra-agent/reconcile"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func rules(t *testing.T) []catalogue.Rule {
	t.Helper()
	all := catalogue.Rules(read(t, "infra-agent.rules.yml"))
	if len(all) < 30 {
		t.Fatalf("%d rules were read", len(all))
	}
	return all
}

func TestRulesNameWhatExists(t *testing.T) {
	agent, err := catalogue.Agent()
	if err != nil {
		t.Fatal(err)
	}
	above := agent // a rule that reads one below lags behind it
	for _, r := range rules(t) {
		for _, problem := range above.Problems(r.Expr) {
			t.Errorf("%s: %s", r.Name, problem)
		}
		above = above.With([]catalogue.Rule{r})
	}
}

// A stacked panel has each state and each gate at all times: the rules do not look for them, since that is dear, but name them.
func TestRulesHaveAZeroOfEachStateAndGate(t *testing.T) {
	want := map[string]int{}
	for _, s := range reconcile.States {
		want[`"state", "`+s+`"`]++
	}
	for _, g := range reconcile.Gates {
		want[`"gate", "`+string(g)+`"`]++
	}
	got := map[string]int{}
	zero := regexp.MustCompile(`or label_replace\(0 \* environment_wave:infra_agent_nodes:count, ("\w+", "\w+"), "", ""\)`)
	for _, m := range zero.FindAllStringSubmatch(read(t, "infra-agent.rules.yml"), -1) {
		got[m[1]]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("zeros (-want +got):\n%s", diff)
	}
}

// Whoever is woken by an alert is told what it means and what to do.
func TestAlertsHaveRunbooks(t *testing.T) {
	runbooks := read(t, "../../docs/runbooks.md")
	headings := 0
	for _, r := range rules(t) {
		if !r.Alert {
			continue
		}
		headings++
		for _, want := range []string{
			"\n      summary: ", "\n      description: ",
			"\n      runbook_url: https://github.com/infra-agent/infra-agent/blob/main/docs/runbooks.md#" + strings.ToLower(r.Name) + "\n",
		} {
			if !strings.Contains(r.Text, want) {
				t.Errorf("%s lacks %q", r.Name, want)
			}
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
			t.Errorf("%s has the severity %q", r.Name, s)
		}
		_, text, has := strings.Cut(runbooks, "\n## "+r.Name+"\n")
		if text, _, _ = strings.Cut(text, "\n## "); !has || len(strings.TrimSpace(text)) < 100 {
			t.Errorf("docs/runbooks.md has no paragraph about %s", r.Name)
		}
	}
	if got := strings.Count(runbooks, "\n## InfraAgent"); got != headings {
		t.Errorf("docs/runbooks.md has %d alerts, the rules have %d", got, headings)
	}
}

// promtool runs them: see .ci/promtool.
func TestAlertsAreTestedBothWays(t *testing.T) {
	tests := read(t, "infra-agent.test.yml") + read(t, "days.test.yml")
	for _, r := range rules(t) {
		if !r.Alert {
			continue
		}
		name := regexp.QuoteMeta(r.Name)
		fires := regexp.MustCompile(`labels: 'ALERTS\{alertname="` + name + `", alertstate="firing", |alertname: ` + name + `\n    eval_time: \w+\n    exp_alerts:`)
		silent := regexp.MustCompile(`expr: 'ALERTS\{alertname="` + name + `"[^}]*\}', eval_time: \w+, exp_samples: \[\]|\{alertname: ` + name + `, eval_time: \w+\}`)
		if !fires.MatchString(tests) {
			t.Errorf("no test has %s fire", r.Name)
		}
		if !silent.MatchString(tests) {
			t.Errorf("no test has %s stay silent", r.Name)
		}
	}
}
