package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/metrics"
	"github.com/infra-agent/infra-agent/reconcile"
)

// What packaging/prometheus records. The newest commit of ten thousand nodes costs as much as of one, and the state that a node
// is in, and the gates that hold it, are few of the series that say so of each.
const (
	newestRecorded = "revision:infra_agent_verified_commit_timestamp_seconds:max"
	stateRecorded  = "instance:infra_agent_state:current"
	gatesRecorded  = "instance:infra_agent_gate_blocked:current"
)

// What is asked of Prometheus about all nodes, in this order: enough to say which of them need
// attention. Only the first answer is about each node, and is asked for where each is shown, since what is long to write is slow.
const (
	askUp = iota
	askSilent
	askBehind // and since when
	askHeld
	askRolledBack
	askFailed
	askNewest
)

// What is asked about the nodes that are shown. Where each is, their targets are known.
const (
	askTarget = iota
	askInfo
	askEntered
	askRoles
	askState
	askGates
	askRunning
)

// A selector selects the series of a scrape job, or of some of its instances.
type selector struct {
	job       string
	instances []string // none: all
}

// of is the selector of a metric, with more matchers.
func (s selector) of(metric, more string) string {
	matchers := "job=" + strconv.Quote(s.job) + more
	if len(s.instances) > 0 {
		var literal []string
		for _, i := range s.instances {
			literal = append(literal, regexp.QuoteMeta(i))
		}
		matchers += ", instance=~" + strconv.Quote(strings.Join(literal, "|"))
	}
	return metric + "{" + matchers + "}"
}

// by leaves no labels in an answer but those that are needed: it is a third as long.
func by(labels, expr string) string { return "max by (" + labels + ") (" + expr + ")" }

func countQuestion(job string) string { return "count(" + selector{job: job}.of("up", "") + ")" }

func standingQuestions(job string, each bool) []string {
	s, targets := selector{job: job}, ""
	if each {
		targets = s.of("up", "")
	}
	ended := func(r reconcile.Result) string { return s.of(metrics.LastDeployment, `, result="`+string(r)+`"`) }
	return []string{
		askUp:     targets,
		askSilent: by("instance", s.of("up", "")+" unless on (job, instance) "+s.of(metrics.InSync, "")),
		askBehind: by("instance", s.of(metrics.OutOfSyncSince, "")+" and on (job, instance) "+s.of(metrics.InSync, "")+" == 0"),
		askHeld:   by("instance", s.of(metrics.State, `, state="held"`)+" == 1"),
		askRolledBack: by("instance", "("+ended(reconcile.ResultRolledBack)+" > 0) > on (job, instance) "+
			ended(reconcile.ResultPromoted)+" unless on (job, instance) "+s.of(metrics.ReachedTime, `, stage="good"`)+" > on (job, instance) "+
			ended(reconcile.ResultRolledBack)), // nor has a later commit described the good system again
		askFailed: by("instance", s.of(metrics.RollbackFailed, "")+" == 1"),
		askNewest: "topk(1, max by (revision) (" + s.of(newestRecorded, "") + "))",
	}
}

func detailQuestions(s selector, each, recorded bool) []string {
	targets, state, gates := "", s.of(metrics.State, "")+" == 1", s.of(metrics.GateBlocked, "")+" == 1"
	if !each {
		targets = s.of("up", "")
	}
	if recorded {
		state, gates = s.of(stateRecorded, ""), s.of(gatesRecorded, "")
	}
	return []string{
		askTarget:  targets,
		askInfo:    by("instance, config, environment, wave", s.of(metrics.NodeInfo, "")),
		askEntered: by("instance", s.of(metrics.StateEntered, "")),
		askRoles:   by("instance, role", s.of(metrics.NodeRole, "")),
		askState:   by("instance, state", state),
		askGates:   by("instance, gate", gates),
		askRunning: by("instance, revision", s.of(metrics.RevisionInfo, `, stage="running"`)),
	}
}

// readFleet asks Prometheus for the nodes of a scrape job, and in detail for those that are shown where at
// most so many are, 0 for all. The checkout around the current directory is asked for the subjects of their commits.
func readFleet(ctx context.Context, server prometheusServer, job string, most int) (fleet, error) {
	asking, cancel := context.WithTimeoutCause(ctx, fleetTimeout,
		fmt.Errorf("%v did not answer within %v (hint: is it overloaded, or another service?)", server, fleetTimeout))
	defer cancel()
	number, err := server.ask(asking, countQuestion(job))
	if err != nil {
		return fleet{}, err
	}
	if len(number) == 0 {
		return fleet{}, fmt.Errorf("%v scrapes no node in a job %q (hint: name the job with --job; docs/runbooks.md says how the nodes are scraped)", server, job)
	}
	each := most == 0 || number[0].Value.value <= float64(most)
	answers, err := server.all(asking, standingQuestions(job, each))
	if err != nil {
		return fleet{}, err
	}
	f := fleetOf(number[0], answers)
	s := selector{job: job}
	if shown := f.shown(most); len(shown) <= fleetLines {
		for _, n := range shown {
			s.instances = append(s.instances, n.Instance)
		}
	}
	if answers, err = server.all(asking, detailQuestions(s, each, f.Newest != "")); err != nil {
		return fleet{}, err
	}
	f.detail(answers)
	f.name(subjects(ctx, ".", f.commits()))
	return f, nil
}

// fleetOf says how the nodes stand, of which there are a number. Those that no answer names are in sync.
func fleetOf(number sample, answers [][]sample) fleet {
	f := fleet{Standing: map[standing]int{}, Newest: commitOf(answers[askNewest]...), At: instant(number.Value.at)}
	known := map[string]bool{}
	for _, of := range []int{askUp, askSilent, askBehind, askHeld, askFailed} {
		for _, s := range answers[of] {
			if !known[s.Metric.Instance] {
				known[s.Metric.Instance] = true
				f.Nodes = append(f.Nodes, targetOf(s))
			}
		}
	}
	f.each(answers[askSilent], func(n *fleetNode, _ sample) { n.Standing = standsDown })
	f.each(answers[askBehind], func(n *fleetNode, s sample) { n.Standing, n.Since = standsBehind, instant(s.Value.value) })
	f.each(answers[askRolledBack], func(n *fleetNode, _ sample) {
		if n.Standing == standsBehind {
			n.Standing = standsRolledBack
		}
	})
	f.each(answers[askHeld], func(n *fleetNode, _ sample) {
		if n.Standing != standsRolledBack {
			n.Standing = standsHeld
		}
	})
	f.each(answers[askFailed], func(n *fleetNode, _ sample) { n.Standing = standsFailed })
	for _, n := range f.Nodes {
		f.Standing[n.Standing]++
	}
	if others := int(number.Value.value) - len(f.Nodes); others > 0 {
		f.Standing[standsInSync] += others
	}
	slices.SortFunc(f.Nodes, byAttention)
	return f
}

// detail adds what is known of single nodes.
func (f *fleet) detail(answers [][]sample) {
	f.each(answers[askTarget], func(n *fleetNode, s sample) {
		t := targetOf(s)
		n.Node, n.Environment, n.Wave, n.Roles = t.Node, t.Environment, t.Wave, t.Roles
	})
	f.each(answers[askInfo], func(n *fleetNode, s sample) {
		if n.Node == n.Instance && s.Metric.Config != "" {
			n.Node = printable(s.Metric.Config)
		}
		n.Environment, n.Wave, n.Roles = printable(s.Metric.Environment), printable(s.Metric.Wave), nil
	})
	f.each(answers[askEntered], func(n *fleetNode, s sample) {
		if n.Since.IsZero() {
			n.Since = instant(s.Value.value)
		}
	})
	f.each(answers[askRoles], func(n *fleetNode, s sample) { n.Roles = append(n.Roles, printable(s.Metric.Role)) })
	f.each(answers[askState], func(n *fleetNode, s sample) { n.State = printable(s.Metric.State) })
	f.each(answers[askGates], func(n *fleetNode, s sample) { n.Gates = append(n.Gates, reconcile.Gate(printable(s.Metric.Gate))) })
	f.each(answers[askRunning], func(n *fleetNode, s sample) { n.Revision = commitOf(s) })
	for _, n := range f.Nodes {
		slices.Sort(n.Roles)
		slices.Sort(n.Gates)
	}
}

// each hands each sample to the node that it is of.
func (f *fleet) each(samples []sample, read func(*fleetNode, sample)) {
	nodes := make(map[string]*fleetNode, len(f.Nodes))
	for i := range f.Nodes {
		nodes[f.Nodes[i].Instance] = &f.Nodes[i]
	}
	for _, s := range samples {
		if n := nodes[printable(s.Metric.Instance)]; n != nil {
			read(n, s)
		}
	}
}

// total is how many nodes there are.
func (f *fleet) total() int {
	n := 0
	for _, in := range f.Standing {
		n += in
	}
	return n
}

// shown are the first nodes, at most so many. Those in sync are among them only where all are, as with 0.
func (f *fleet) shown(most int) []fleetNode {
	if most == 0 || f.total() <= most {
		return f.Nodes
	}
	return f.Nodes[:min(most, f.total()-f.Standing[standsInSync])]
}

// targetOf is a node as the scrape job knows it: in sync, as long as nothing else is known.
func targetOf(s sample) fleetNode {
	instance := printable(s.Metric.Instance)
	n := fleetNode{
		Node: cmp.Or(printable(s.Metric.Node), instance), Instance: instance, Standing: standsInSync,
		Environment: printable(s.Metric.TargetEnv), Wave: printable(s.Metric.TargetWave),
	}
	if roles := strings.Trim(printable(s.Metric.Roles), ","); roles != "" {
		n.Roles = strings.Split(roles, ",")
	}
	return n
}

// byAttention orders by standing, then by how long the node has been out of sync, and then by name.
func byAttention(a, b fleetNode) int {
	if c := cmp.Compare(slices.Index(standings, a.Standing), slices.Index(standings, b.Standing)); c != 0 {
		return c
	}
	switch {
	case a.Since.Equal(b.Since):
	case b.Since.IsZero() || !a.Since.IsZero() && a.Since.Before(b.Since):
		return -1
	default:
		return 1
	}
	return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Instance, b.Instance))
}

// commits are those that the fleet shows.
func (f fleet) commits() []reconcile.Commit {
	all := []reconcile.Commit{f.Newest}
	for _, n := range f.Nodes {
		all = append(all, n.Revision)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(c reconcile.Commit) bool { return c == "" })
}

// name adds the subjects that are known.
func (f *fleet) name(subjects map[reconcile.Commit]string) {
	f.Subject = subjects[f.Newest]
	for i, n := range f.Nodes {
		f.Nodes[i].Subject = subjects[n.Revision]
	}
}

// commitOf is the revision that a series names; none where no node has one.
func commitOf(series ...sample) reconcile.Commit {
	for _, s := range series {
		if c, err := reconcile.ParseCommit(s.Metric.Revision); err == nil {
			return c
		}
	}
	return ""
}

// year10000 is the first second that JSON cannot write.
const year10000 = 253402300800

// instant is a value that is a time; zero where it is none.
func instant(seconds float64) time.Time {
	if seconds > 0 && seconds < year10000 { // NaN is neither
		return time.UnixMilli(int64(seconds * 1e3)).UTC()
	}
	return time.Time{}
}
