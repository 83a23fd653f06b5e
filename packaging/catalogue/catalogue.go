// Package catalogue knows what Prometheus can be asked of a fleet: the metrics of the agent's own collector, and
// the series that the rules record. It reads PromQL as far as names go; whether an expression is one, promtool says.
package catalogue

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Catalogue has the labels of each metric, and the values of each label; none where a value can be anything.
type Catalogue map[string]map[string][]string

// open are the labels whose values come from outside.
var open = []string{"config", "environment", "wave", "role", "revision", "check", "version", "goversion", "branch", "receiver"}

// Agent returns the metrics that a node has, and those that the monitoring side writes down about the branch.
func Agent() (Catalogue, error) {
	s := reconcile.Snapshot{Record: reconcile.New()}
	s.Deliveries = map[string]reconcile.Delivery{"chat": {}}
	s.Counters.Checks = map[string]reconcile.CheckCount{"sshd": {}}
	odd := map[reconcile.Oddity]int{}
	for _, o := range reconcile.Oddities {
		odd[o] = 1
	}
	s.Record.Work.Steps = map[reconcile.Purpose]reconcile.Step{reconcile.PurposeBranch: reconcile.Resolved{
		Fetched: reconcile.Fetched{Revision: reconcile.Revision{Odd: odd}}, Target: reconcile.Target{Roles: []reconcile.Role{"dns"}},
	}}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(metrics.New("1.0.0", func() reconcile.Snapshot { return s }).Native()); err != nil {
		return nil, err
	}
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	all := Catalogue{
		"infra_agent_branch_head_info":              {"branch": nil, "revision": nil},
		"infra_agent_branch_head_timestamp_seconds": {"branch": nil},
	}
	for _, f := range families {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		for _, l := range open {
			if _, has := labels[l]; has {
				labels[l] = nil
			}
		}
		all[f.GetName()] = labels
	}
	return all, nil
}

var (
	series  = regexp.MustCompile(`([a-zA-Z_:]*infra_agent_[a-zA-Z0-9_:]+)(?:\{([^}]*)\})?`)
	matcher = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	clause  = regexp.MustCompile(`\b(?:by|on|group_left) \(([a-z_, ]*)\)`)
	age     = regexp.MustCompile(`time\(\) - `)
	guarded = regexp.MustCompile(`^time\(\) - \((?:\w+ by \([a-z_, ]+\) \()?[a-z_:]*infra_agent_[a-z0-9_:]+(?:\{[^}]*\})?\)? > 0\)`)
)

// target are the labels that Prometheus gives every series, or those of some targets.
var target = []string{"job", "instance", "ephemeral"}

// Problems returns what an expression names that does not exist, and where it takes the age of what never was.
func (c Catalogue) Problems(expr string) []string {
	var all []string
	for _, m := range series.FindAllStringSubmatch(expr, -1) {
		labels, is := c[m[1]]
		if !is {
			all = append(all, "there is no metric "+m[1])
			continue
		}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			all = append(all, mismatch(m[1], labels, l[1], l[3])...)
		}
	}
	for _, m := range clause.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(m[1], ",") {
			if l = strings.TrimSpace(l); l != "" && !c.has(l) {
				all = append(all, "no metric has the label "+l)
			}
		}
	}
	for _, at := range age.FindAllStringIndex(expr, -1) {
		if !guarded.MatchString(expr[at[0]:]) {
			all = append(all, fmt.Sprintf("an age without (x > 0): %.60s", expr[at[0]:]))
		}
	}
	return all
}

// mismatch compares one matcher with the labels of its metric. A value with a variable of a board is not known here.
func mismatch(metric string, labels map[string][]string, label, value string) []string {
	values, has := labels[label]
	if !has && !slices.Contains(target, label) {
		return []string{fmt.Sprintf("%s has no label %s", metric, label)}
	}
	var all []string
	for v := range strings.SplitSeq(value, "|") {
		if len(values) > 0 && !strings.Contains(v, "$") && !slices.Contains(values, v) {
			all = append(all, fmt.Sprintf("%s never has %s=%q", metric, label, v))
		}
	}
	return all
}

func (c Catalogue) has(label string) bool {
	if slices.Contains(target, label) {
		return true
	}
	for _, labels := range c {
		if _, has := labels[label]; has {
			return true
		}
	}
	return false
}

// With returns the catalogue and what the rules record.
func (c Catalogue) With(rules []Rule) Catalogue {
	all := maps.Clone(c)
	for _, r := range rules {
		if !r.Alert {
			all[r.Name] = c.labels(r)
		}
	}
	return all
}

// labels returns those that a recorded series keeps: of an aggregation what it is by, else all that its metrics have.
func (c Catalogue) labels(r Rule) map[string][]string {
	kept := map[string][]string{}
	for l := range r.Labels {
		kept[l] = nil
	}
	if m := clause.FindStringSubmatch(r.Expr); m != nil && strings.Index(r.Expr, m[0]) < strings.Index(r.Expr, "infra_agent_") &&
		!strings.HasPrefix(r.Expr, "(") {
		for l := range strings.SplitSeq(m[1], ",") {
			kept[strings.TrimSpace(l)] = nil
		}
		return kept
	}
	for _, m := range series.FindAllStringSubmatch(r.Expr, -1) {
		maps.Copy(kept, c[m[1]])
	}
	return kept
}
