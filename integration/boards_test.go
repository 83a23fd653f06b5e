//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A board is what Grafana reads of packaging/grafana, as far as it asks Prometheus.
type board struct {
	Annotations struct{ List []struct{ Name, Expr string } }
	Templating  struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		Type, Title string
		Targets     []struct {
			RefID, Expr string
			Instant     bool
		}
	}
}

// A question is what Grafana asks Prometheus for one variable, annotation or target of a panel.
type question struct {
	path       string
	parameters url.Values
	timeline   bool
}

// What a person chose at the top of a board; "all" is .* in the question.
var chosen = map[string]*strings.Replacer{
	"fleet": strings.NewReplacer("$job", "infra-agent", "$environment", ".*", "$wave", ".*", "$shown", ".*", "$behind", ".*"),
	"node":  strings.NewReplacer("$job", "infra-agent", "$instance", "10.99.0.11:10119"),
}

var (
	unchosen    = regexp.MustCompile(`\$[a-z_{]`)
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
)

// questions are those of both boards, by board and title, for the time since start.
func questions(t testing.TB, start time.Time) map[string]question {
	t.Helper()
	all := map[string]question{}
	for name, choice := range chosen {
		var b board
		check(t, json.Unmarshal(must[[]byte](t)(os.ReadFile("../packaging/grafana/"+name+".json")), &b))
		add := func(what, path, expr string, parameters url.Values) {
			if _, twice := all[name+": "+what]; twice || unchosen.MatchString(expr) {
				t.Errorf("%s: %s: a second one of that name, or a variable that nobody chose: %s", name, what, expr)
			}
			all[name+": "+what] = question{path: path, parameters: parameters}
		}
		instant := func(what, expr string) { add(what, "query", expr, url.Values{"query": {expr}}) }
		over := func(what, expr string) {
			add(what, "query_range", expr, url.Values{"query": {expr}, "start": {unix(start)}, "end": {unix(time.Now())}, "step": {"1"}})
		}
		for _, v := range b.Templating.List {
			if v.Type != "query" {
				continue
			}
			expr := choice.Replace(v.Definition)
			if query, is := strings.CutPrefix(expr, "query_result("); is {
				instant("variable "+v.Name, strings.TrimSuffix(query, ")"))
				continue
			}
			parts := labelValues.FindStringSubmatch(expr)
			if parts == nil {
				t.Fatalf("%s: variable %s is %s, want label_values or query_result", name, v.Name, v.Definition)
			}
			add("variable "+v.Name, "label/"+parts[2]+"/values", expr, url.Values{"match[]": {parts[1]}})
		}
		for _, a := range b.Annotations.List {
			over("annotation "+a.Name, choice.Replace(a.Expr))
		}
		for _, panel := range b.Panels {
			for _, target := range panel.Targets {
				what := panel.Title
				if len(panel.Targets) > 1 {
					what += ", " + target.RefID
				}
				if target.Instant {
					instant(what, choice.Replace(target.Expr))
					continue
				}
				over(what, choice.Replace(target.Expr))
				q := all[name+": "+what]
				q.timeline = panel.Type == "state-timeline"
				all[name+": "+what] = q
			}
		}
	}
	return all
}

// showsNothing says whether a part of a board is empty.
func (p *prometheus) showsNothing(q question) (bool, error) {
	var data json.RawMessage
	err := p.ask(q.path, q.parameters, &data)
	return string(data) == "[]" || strings.HasSuffix(string(data), `"result":[]}`), err
}

// timelinesEnd says whether each series of each timeline has a value at the end: Grafana draws the last one to the end of the
// picture, as if it were so still.
func (p *prometheus) timelinesEnd() {
	p.t.Helper()
	seen := 0
	for what, q := range questions(p.t, p.start) {
		if !q.timeline {
			continue
		}
		var data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any // time, value
			}
		}
		check(p.t, p.ask(q.path, q.parameters, &data))
		last := 0.0
		for _, s := range data.Result {
			last = max(last, s.Values[len(s.Values)-1][0].(float64))
		}
		for _, s := range data.Result {
			seen++
			if end := s.Values[len(s.Values)-1]; end[0].(float64) < last {
				p.t.Errorf("%s: %v is %v for ever, though it ended %.0f s before the others", what, s.Metric, end[1], last-end[0].(float64))
			}
		}
	}
	if seen == 0 {
		p.t.Error("no timeline shows anything")
	}
}

// tiles waits until the tiles of the boards show the numbers.
func (p *prometheus) tiles(want map[string]float64) {
	p.t.Helper()
	asked, all := map[string]float64{}, questions(p.t, p.start)
	for title, value := range want {
		expr := all[title].parameters.Get("query")
		if expr == "" {
			p.t.Fatalf("the boards have no %s", title)
		}
		asked[expr] = value
	}
	p.values(asked)
}

func unix(t time.Time) string { return fmt.Sprintf("%d.%03d", t.Unix(), t.Nanosecond()/1e6) }
