// Package metrics shows the agent's snapshot to Prometheus. One scrape reads one
// snapshot and turns it into constant metrics, so no series is ever stale, and a
// restart loses only what is counted since the start. It knows nothing of how
// the snapshot came about.
package metrics

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Collector makes metrics of snapshots.
type Collector struct {
	version  string
	native   bool // with native histograms
	snapshot func() reconcile.Snapshot
	d        descs
	all      []*prometheus.Desc
}

// New returns a collector for an agent of the given version.
func New(version string, snapshot func() reconcile.Snapshot) *Collector {
	d, all := newDescs()
	return &Collector{version: version, snapshot: snapshot, d: d, all: all}
}

// Native returns the same collector with native histograms, which only protobuf carries. In Prometheus' text format
// each would be three series that say little.
func (c *Collector) Native() *Collector {
	native := *c
	native.native = true
	return &native
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.all {
		ch <- d
	}
}

// A scrape is one snapshot on its way to Prometheus.
type scrape struct {
	d      descs
	s      reconcile.Snapshot
	native bool
	ch     chan<- prometheus.Metric
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	defer func() { // the scrape fails: the agent that is to roll back goes on
		if bug := recover(); bug != nil {
			ch <- prometheus.NewInvalidMetric(c.all[0], fmt.Errorf("a bug in infra-agent: %v", bug))
		}
	}()
	x := scrape{c.d, c.snapshot(), c.native, ch}
	x.put(c.d.buildInfo, 1, c.version, runtime.Version())
	x.identity()
	x.revisions()
	x.progress()
	x.source()
	x.deployments()
	x.notices()
	x.health()
	x.system()
}

func (x scrape) put(d desc, v float64, labels ...string) {
	x.ch <- prometheus.MustNewConstMetric(d.Desc, d.kind, v, labels...)
}

func (x scrape) identity() {
	target, ok := reconcile.TargetOf(x.s.Record.Work.Steps[reconcile.PurposeBranch])
	x.put(x.d.registered, truth(ok))
	x.put(x.d.nodeInfo, 1, target.Configuration, target.Environment, target.Wave)
	for _, r := range target.Roles {
		x.put(x.d.nodeRole, 1, string(r))
	}
}

func (x scrape) revisions() {
	r := x.s.Record
	for _, stage := range reconcile.Stages {
		m := r.Tally.Marks[stage]
		x.put(x.d.revisionInfo, 1, string(stage), string(m.Revision))
	}
	for _, stage := range datedStages {
		x.put(x.d.revisionCommitTime, seconds(r.Tally.Marks[stage].Time), string(stage))
	}
	for _, stage := range reachedStages {
		x.put(x.d.revisionReachedTime, seconds(r.Tally.Marks[stage].Reached), string(stage))
	}
	x.put(x.d.revisionInfo, 1, "booted", string(reconcile.RevisionOf(r, x.s.Observation.Booted)))
	x.put(x.d.inSync, truth(x.s.InSync()))
	x.put(x.d.outOfSyncSince, seconds(r.Tally.OutOfSync))
	tip := r.Work.Tip.Commit
	x.put(x.d.headVerified, truth(tip == "" || tip == r.Anchor))
	x.put(x.d.commitsBehind, float64(r.Behind()))
	fetched, _ := reconcile.FetchedOf(r.Work.Steps[reconcile.PurposeBranch])
	for o, n := range fetched.Revision.Odd {
		x.put(x.d.oddFiles, float64(n), string(o))
	}
}

func (x scrape) progress() {
	now := x.s.State()
	for _, s := range reconcile.States {
		x.put(x.d.state, truth(s == now), s)
	}
	x.put(x.d.stateEntered, seconds(x.s.Entered()))
	var deadline time.Time
	if p, ok := x.s.Record.Phase.(reconcile.Confirming); ok && p.Held == "" {
		deadline = x.s.Observation.Now.Add(p.Until - x.s.Observation.Uptime)
	}
	x.put(x.d.confirmDeadline, seconds(deadline))
	x.put(x.d.suspendedSince, seconds(x.s.Record.Suspended.Since))
	x.put(x.d.suspendedUntil, seconds(x.s.Record.Suspended.Until))
	var opens time.Time
	for _, g := range reconcile.Gates {
		i := slices.IndexFunc(x.s.Holds, func(h reconcile.Hold) bool { return h.Gate == g })
		x.put(x.d.gateBlocked, truth(i >= 0), string(g))
		if i >= 0 && g == reconcile.GateWindow {
			opens = x.s.Holds[i].Until
		}
	}
	x.put(x.d.windowOpens, seconds(opens))
	for _, p := range reconcile.TimedPhases {
		x.put(x.d.lastPhaseDuration, x.s.Record.Tally.Took[p].Seconds(), phase(p))
		if x.native {
			x.histogram(x.d.phaseDuration, x.s.Record.Tally.Durations[p], phase(p))
		}
	}
}

// phase is what a phase is called; the way back is a job, and has another name there.
func phase(p string) string {
	if p == "goback" {
		return "rollback"
	}
	return p
}

func (x scrape) histogram(d desc, durations reconcile.Durations, labels ...string) {
	buckets := make(map[int]int64, len(durations.Buckets))
	for i, n := range durations.Buckets {
		buckets[i] = int64(n)
	}
	created := time.Unix(0, 0) // not known
	x.ch <- prometheus.MustNewConstNativeHistogram(d.Desc, uint64(durations.Count()), durations.Sum.Seconds(), buckets, nil, 0,
		reconcile.DurationSchema, 0, created, labels...)
}

func (x scrape) source() {
	for _, res := range reconcile.PollResults {
		x.put(x.d.polls, float64(x.s.Counters.Polls[res]), string(res))
	}
	x.put(x.d.lastPoll, seconds(x.s.Counters.LastPoll))
	x.put(x.d.lastPollSuccess, seconds(x.s.Record.Tally.LastPollOK))
	for _, v := range reconcile.Verdicts {
		x.put(x.d.verifications, float64(x.s.Record.Tally.Verifications[v]), string(v))
	}
	for _, a := range reconcile.AuditResults {
		x.put(x.d.audits, float64(x.s.Record.Tally.Audits[a]), string(a))
	}
	x.put(x.d.reloadSuccessful, truth(x.s.Reload.Err == ""))
	x.put(x.d.reloadSuccessTime, seconds(x.s.Reload.At))
}

func (x scrape) deployments() {
	t := x.s.Record.Tally
	for _, res := range reconcile.Results {
		x.put(x.d.deployments, float64(t.Deployments[res]), string(res))
	}
	for _, res := range trials {
		x.put(x.d.lastDeployment, seconds(t.LastDeployment[res]), string(res))
	}
	bad := 0
	for _, o := range x.s.Record.Observed {
		if o.Cause.Reason != "" {
			bad++
		}
	}
	x.put(x.d.observed, float64(len(x.s.Record.Observed)-bad), string(reconcile.ResultPromoted))
	x.put(x.d.observed, float64(bad), string(reconcile.ResultRolledBack))
	for _, reason := range reconcile.Reasons {
		x.put(x.d.rollbacks, float64(t.Rollbacks[reason]), string(reason))
	}
	x.put(x.d.lastRollback, seconds(t.LastRollback))
	x.put(x.d.consecutiveFailures, float64(t.Consecutive))
	x.put(x.d.rollbackFailed, truth(t.RollbackFailed))
	x.put(x.d.blockedSystems, float64(len(x.s.Record.Blocked)))
	x.put(x.d.troubles, float64(len(x.s.Troubles)))
	x.put(x.d.debts, float64(len(x.s.Record.Owed)))
}

func (x scrape) notices() {
	for receiver, d := range x.s.Deliveries {
		x.put(x.d.noticesPending, float64(d.Pending), receiver)
		x.put(x.d.notices, float64(d.Delivered), receiver, "delivered")
		x.put(x.d.notices, float64(d.Failed), receiver, "failed")
		x.put(x.d.notices, float64(d.Dropped), receiver, "dropped")
	}
}

func (x scrape) health() {
	for name, res := range reconcile.Follow(x.s.Record, x.s.Observation) {
		x.put(x.d.checkSuccess, truth(res.OK), name)
	}
	for name, c := range x.s.Counters.Checks {
		x.put(x.d.checkSuccess, truth(c.Last.OK), name)
		x.put(x.d.checkDuration, c.Last.Took.Seconds(), name)
		x.put(x.d.checkRuns, float64(c.Passed), name, "green")
		x.put(x.d.checkRuns, float64(c.Failed), name, "red")
	}
}

func (x scrape) system() {
	o, good := x.s.Observation, x.s.Record.Good.Toplevel
	for slot, t := range map[string]reconcile.Toplevel{
		"running": o.Slots.Running, "good": good, "booted": o.Booted, "default": o.Slots.Default,
	} {
		x.put(x.d.generation, float64(x.s.Generations[t]), slot)
	}
	_, idle := x.s.Record.Phase.(reconcile.Idle)
	deploys := idle && !o.Policy.Observe // else another tool does, and nothing is by hand
	differs := func(t reconcile.Toplevel) float64 { return truth(deploys && good != "" && t != "" && t != good) }
	x.put(x.d.drift, differs(o.Slots.Running), "running")
	x.put(x.d.drift, differs(o.Slots.Profile), "profile")
	x.put(x.d.drift, differs(o.Slots.Default), "boot_default")
	for _, c := range components {
		x.put(x.d.rebootRequired, truth(slices.Contains(x.s.Reboot, c)), c)
	}
	x.put(x.d.rebootRequiredSince, seconds(x.s.Record.Tally.RebootSince))
}

// seconds returns Unix time; 0 stands for never.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
