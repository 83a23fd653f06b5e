package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A system is kept only when its own agent has shown that it still follows the branch:
// with its own settings, credentials, keys and tools it polls a remote, fetches and
// verifies the commit that brought it, finds itself in the registry and evaluates the very
// same system. Otherwise no fix could ever arrive. Where nothing of that changed with the
// system, it is enough that one poll has reached a remote anew since the activation: a firewall may
// keep git alone out.

// followFails is how often in a row a step may fail before it is the commit's own fault:
// the pauses between them last a quarter of a minute and more.
const followFails = 5

// The steps, as they are named in status and metrics after followed: no check has such a name.
const (
	followed     = "follow: "
	stepSettings = "settings"
	stepPoll     = "poll"
	stepFetch    = "fetch"
	stepVerify   = "verify"
	stepRegistry = "registry"
	stepManifest = "manifest"
	stepEvaluate = "evaluate"
)

// A proof is how far a trial's agent has come in showing that it follows.
type proof struct {
	done   bool   // it does
	step   string // the one to take next, when it is not done
	job    Job    // that takes it; nil: it waits for something
	why    string // it is not taken
	wrong  bool   // and never will be: the commit's own fault
	outage bool   // no remote answers the old settings either, or the node's disk is full or broken
	lost   bool   // the old settings cannot be asked
}

// follows looks at what the new system's agent has shown.
func follows(p Confirming, r Record, o Observation) proof {
	d, f := p.Deployment, r.Work.Following
	switch {
	case !mustShow(p, o):
		return proof{done: true}
	case o.Following.Print == p.Baseline.Print:
		return reached(p, r, o)
	}
	if o.Following.Stale != "" {
		return proof{step: stepSettings, why: o.Following.Stale}
	}
	if why := tooShort(o.Policy.Limits, r.Tally.Spent["activate"]); why != "" {
		return proof{step: stepSettings, wrong: true, why: why}
	}
	answers := sinceActivation(p, r, o)
	a, polled := shown(d, answers)
	if !polled {
		return polls(d, answers, r, o)
	}
	if d.Purpose == PurposeRollback { // the branch is ahead of it, and blocked
		return proof{done: true}
	}
	seen, own := slices.Index(r.Accepted, a.Commit), slices.Index(r.Accepted, d.New.Revision)
	if later := own >= 0 && seen > own; a.Commit != d.New.Revision && a.Commit != f.Newer && !later {
		if seen >= 0 {
			return proof{step: stepPoll, wrong: true, why: fmt.Sprintf("%s shows %s, which is older than %s", a.Remote, a.Commit.Short(), d.New.Revision.Short())}
		}
		return f.fetching(d, Tip{Commit: a.Commit, Remote: a.Remote})
	}
	switch s := f.Step.(type) {
	case nil:
		return f.fetching(d, Tip{Commit: d.New.Revision, Remote: a.Remote})
	case Fetched:
		if mode := o.Policy.Manifests.Mode; mode == ManifestOnly || mode == ManifestPrefer && f.Fails == 0 {
			next := f.taking(stepManifest, Plan{From: s})
			next.wrong = f.Wrong // it may be late
			return next
		}
		return f.taking(stepRegistry, Resolve{s})
	case Resolved:
		return f.taking(stepEvaluate, Evaluate{From: s, Anew: o.Following.Nix != p.Baseline.Nix})
	case Evaluated:
		if s.Toplevel != d.New.Toplevel && s.Manifest.Pinned.IsZero() { // a pin may be of a later commit by now
			return proof{step: stepEvaluate, wrong: true, why: fmt.Sprintf("it describes %s for %s, and not the system on trial", s.Toplevel, cmp.Or(s.Target.Configuration, s.Target.Node))}
		}
	case Built, Ready: // of no job that shows anything
	}
	return proof{done: true}
}

// mustShow reports whether a system must show that its agent follows the branch. Where
// nothing of the agent changed, and the rollback mode never leaves a system that runs,
// it need not: an outage of the git server must not end its trial. Neither need one that
// has no agent on purpose.
func mustShow(p Confirming, o Observation) bool {
	if p.Deployment.Testing() || p.Deployment.New.Retires {
		return false
	}
	return o.Following.Print != p.Baseline.Print || rule(p.Deployment.Rollback, troubleLate) == rulingBack
}

// sinceActivation returns the answers of remotes that were asked anew after the activation: what
// the same agent heard before says nothing about a token that the commit replaced, and what it
// hears over a connection from before nothing about a name server or an authority.
func sinceActivation(p Confirming, r Record, o Observation) []Answer {
	since := at(p.Since, o)
	return slices.DeleteFunc(slices.Clone(r.Work.Remotes), func(a Answer) bool { return !a.Anew.After(since) })
}

// reached looks for a remote that was asked anew after the activation and has answered. When
// that is all that a confirmation still waits for, the remotes are asked at once.
func reached(p Confirming, r Record, o Observation) proof {
	answers := sinceActivation(p, r, o)
	for _, a := range answers {
		if a.Commit != "" || a.Missing { // that the branch is gone is not the commit's fault
			return proof{done: true}
		}
	}
	switch {
	case len(answers) > 0 && len(answers) == len(r.Work.Remotes):
		return polls(p.Deployment, answers, r, o)
	case !r.Work.Watch.stable(p.Deployment.Confirm.Window):
		return proof{step: stepPoll}
	}
	return polls(p.Deployment, answers, r, o)
}

// taking is a proof that takes a step with a job.
func (f Following) taking(step string, j Job) proof {
	return proof{step: step, job: j, why: f.Why, wrong: f.Wrong || f.Fails >= followFails && !f.Disk, outage: f.Disk}
}

// fetching is a proof that takes a fetch, which verifies as well: what it refused has been
// fetched. The commits before the one on trial are none of its business: the old system's
// settings have judged them, and what the new ones would say of them concerns no later commit.
func (f Following) fetching(d Deployment, t Tip) proof {
	step := stepFetch
	if f.Verify {
		step = stepVerify
	}
	return f.taking(step, Fetch{Tip: t, Purpose: PurposeFollow, Anchor: d.New.Revision})
}

// shown returns the answer of a remote to follow: rather the commit on trial than another.
func shown(d Deployment, answers []Answer) (best Answer, polled bool) {
	for _, a := range answers {
		if a.Commit == d.New.Revision || a.Commit != "" && best.Commit == "" {
			best = a
		}
	}
	return best, best.Commit != ""
}

// polls is the proof of a system whose agent has not reached a remote. That a branch is
// missing is the commit's fault. Where no remote answers, the old system's settings are
// asked too: if one answers them, the commit is at fault, and else it is an outage. A remote
// may take as long to answer as its timeout says: they are asked before.
func polls(d Deployment, answers []Answer, r Record, o Observation) proof {
	p, denied := proof{step: stepPoll}, len(answers) > 0 // one that is silent may be an outage
	for _, a := range answers {
		denied = denied && a.Denied
		p.why = cmp.Or(p.why, a.Remote+": "+a.Why)
		p.wrong = p.wrong || a.Missing
	}
	f := r.Work.Following
	if p.why == "" && f.Polled > 0 {
		p.why, p.lost = "no poll has ended since the activation", o.Uptime < f.Polled+OldPollWithin
	}
	switch {
	case p.why == "": // the next poll may be later than the deadline
		p.job = Poll{d}
	case p.wrong, p.lost:
	case f.Old == OldAnswered: // unless a remote came back between the two questions
		p.wrong = len(answers) > 0 && !slices.ContainsFunc(answers, func(a Answer) bool { return !a.Asked.After(f.At) })
	case f.Old == OldLost: // nobody can tell whether it is an outage: it goes back in time, and the next commit is tried
		p.why, p.lost = p.why+"; the old settings cannot be asked, since a file that they name is gone", true
	case f.Old == OldSilent && denied: // a server that answers is no outage, and the old settings may name the same file
		p.why, p.lost = p.why+"; nor does it let the old settings in", true
	case f.Old == OldNotAsked, o.Uptime >= f.Asked+askOldAgain:
		p.job, p.outage = AskOld{d}, f.Old == OldSilent
	default:
		p.outage = true
	}
	return p
}

// cause is that of a rollback because of a proof that is not done.
func (p proof) cause() Cause {
	why := fmt.Sprintf("it does not follow its branch: %s", p.step)
	if p.why != "" {
		why += ": " + p.why
	}
	return Cause{Reason: ReasonFollow, Why: why, Outside: p.outage, OfRevision: p.lost || p.step != stepSettings && p.step != stepPoll}
}

// stepShown keeps what a job has shown.
func stepShown(r Record, s Step) Record {
	f := r.Work.Following
	f.Why, f.Fails, f.Verify, f.Disk = "", 0, false, false
	if d, _ := DeploymentOf(r.Phase); s.fetched().Revision.Commit == d.New.Revision {
		f.Step = s
	} else {
		f.Newer = s.fetched().Revision.Commit
	}
	r.Work.Following = f
	return r
}

// stepFailed records why a job has not shown what it was to show. A newer commit of the
// branch may be refused, by its signature for example: it has shown all the same that
// the remote is reached, and that the branch goes on from the commit on trial.
func stepFailed(r Record, e Failed) Record {
	f := r.Work.Following
	d, _ := DeploymentOf(r.Phase)
	j, fetch := e.Job.(Fetch)
	newer := fetch && j.Tip.Commit != d.New.Revision
	if e.Disk != f.Disk {
		f.Fails = 0 // of the other kind
	}
	f.Verify, f.Disk = e.Gate == GateUnverified || e.NoKeys, e.Disk
	switch {
	case newer && e.Gate == GateUnverified && e.Verdict != VerdictNotDescendant:
		f.Newer, f.Why, f.Fails, f.Verify = j.Tip.Commit, "", 0, false
	case newer && e.Gate == "": // the remote went away meanwhile: the next poll says so
		f.Why = e.Why
	default:
		f.Why, f.Fails, f.Wrong = e.Why, f.Fails+1, e.Gate != "" && !e.Suspect
	}
	f.Pause = pause(e.At, jobBackoff, max(1, f.Fails), e.Spread)
	r.Work.Following = f
	return r
}

func askedOld(r Record, e AskedOld) Record {
	r.Work.Following.Old, r.Work.Following.Asked, r.Work.Following.At = e.Old, e.Uptime, e.At
	return r
}

// Follow returns the steps of a trial's proof as results of checks, by name; none where
// nothing need be shown.
func Follow(r Record, o Observation) map[string]CheckResult {
	p, confirming := r.Phase.(Confirming)
	if !confirming || !mustShow(p, o) {
		return nil
	}
	results, now := map[string]CheckResult{}, follows(p, r, o)
	steps := []string{stepSettings, stepPoll, stepFetch, stepVerify, stepRegistry, stepEvaluate}
	switch s, evaluated := evaluatedOf(r.Work.Following.Step); {
	case o.Following.Print == p.Baseline.Print:
		steps = []string{stepPoll}
	case now.step == stepManifest, evaluated && s.Manifest.Place != "":
		steps = []string{stepSettings, stepPoll, stepFetch, stepVerify, stepManifest}
	}
	for _, step := range steps {
		if !now.done && step == now.step {
			results[followed+step] = CheckResult{Detail: cmp.Or(now.why, "not shown yet")}
			break
		}
		results[followed+step] = CheckResult{OK: true}
	}
	return results
}

// tooShort says which limit would end an activation that takes as long as the one to this system
// did; empty: none.
func tooShort(l Limits, took time.Duration) string {
	for _, of := range []struct {
		setting string
		limit   time.Duration
		ended   string
	}{
		{"limits.activate", l.Activate, "that of a fix"},
		{"limits.rollback", l.Rollback, "one on the way back"},
	} {
		if of.limit > 0 && took > of.limit {
			return fmt.Sprintf("%s is %v, and this activation took %v: %s would be ended", of.setting, of.limit, took.Round(time.Millisecond), of.ended)
		}
	}
	return ""
}
