package agenttest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// poll asks the remotes again and again; anew until each has answered.
func (p *Process) poll(ctx context.Context, a *agent.Agent, wake, wakeAnew chan struct{}) {
	answered := map[string]bool{}
	for ctx.Err() == nil {
		var answers []reconcile.Answer
		p.n.Do(func() {
			for i, r := range p.n.Order {
				a := reconcile.Answer{Remote: r, Order: i, Commit: p.n.Remotes[r], Testing: p.n.Testing, Asked: time.Now(), At: time.Now()}
				s := p.n.Systems[p.n.loaded]
				if !answered[r] {
					a.Anew = a.Asked
				}
				if p.n.cutOff() || s.Deaf || s.Nameless && !answered[r] || a.Commit == "" {
					a.Commit, a.Testing, a.Why = "", "", "no answer"
				}
				answered[r] = a.Commit != ""
				answers = append(answers, a)
			}
		})
		for _, answer := range answers {
			a.Polled(ctx, reconcile.Polled{Answer: answer})
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-wakeAnew:
			clear(answered)
		case <-time.After(PollInterval):
		}
	}
}

// cutOff reports whether the node has no network. The caller holds mu.
func (n *Node) cutOff() bool { return n.Offline || n.Systems[n.loaded].Cut }

// Fetch verifies a commit: its signature, and that it comes after the anchor.
func (p *Process) Fetch(ctx context.Context, j reconcile.Fetch) (agent.Tree, error) {
	c := j.Tip.Commit
	if err := p.transfer(ctx, c); err != nil {
		return agent.Tree{}, err
	}
	err := p.effect(ctx, "fetch", func() error {
		what, exists := p.n.Commits[c]
		switch {
		case p.n.cutOff() || p.n.Systems[p.n.loaded].Deaf || p.n.Systems[p.n.loaded].Nameless || p.n.Remotes[j.Tip.Remote] == "" || !exists:
			return errors.New("no answer")
		case p.n.Systems[p.n.loaded].Distrust:
			return reconcile.Rejected(reconcile.GateUnverified, errors.New("the keys are not there"))
		case p.n.Faulty[j.Tip.Remote] == Silent:
			return errors.New("no answer")
		case p.n.Faulty[j.Tip.Remote] == Lying:
			return reconcile.Suspected(reconcile.GateUnverified, errors.New("too many bytes"))
		case what.Unsigned:
			return reconcile.Rejected(reconcile.GateUnverified, errors.New("no good signature"))
		case !p.n.descends(c, j.Anchor) && c != j.Rewind:
			return &reconcile.RejectedError{Gate: reconcile.GateUnverified, Err: errors.New("no descendant of the anchor"), Verdict: reconcile.VerdictNotDescendant}
		}
		p.n.verified[c] = true
		return nil
	})
	return agent.Tree{Revision: reconcile.Revision{Commit: c, Time: time.Now()}, Dir: "tree"}, err
}

// Again gets the files of a commit that was fetched.
func (p *Process) Again(ctx context.Context, f reconcile.Fetched) (agent.Tree, error) {
	return agent.Tree{Revision: f.Revision, Dir: "tree"}, p.transfer(ctx, f.Revision.Commit)
}

// transfer takes the time that a commit takes.
func (p *Process) transfer(ctx context.Context, c reconcile.Commit) error {
	var takes time.Duration
	p.n.Do(func() { takes = p.n.Commits[c].Takes })
	if sleep(ctx, takes); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Keep keeps what is to be known of a tree.
func (p *Process) Keep(_, to string) (string, error) {
	p.n.Do(func() { p.n.kept[to] = true })
	return to, nil
}

// Kept finds it there, or in the tree itself.
func (p *Process) Kept(dir string) (is bool) {
	p.n.Do(func() { is = p.n.kept[dir] || dir == tree && !p.n.NoTree })
	return is
}

// Resolve finds nothing but the configuration's name.
func (p *Process) Resolve(ctx context.Context, rev reconcile.Revision) (t reconcile.Target, err error) {
	err = p.effect(ctx, "resolve", func() error {
		if p.n.Commits[rev.Commit].Trips {
			panic("index out of range")
		}
		if p.n.Systems[p.n.loaded].Lost {
			return reconcile.Rejected(reconcile.GateIdentity, errors.New("not in the registry"))
		}
		t = p.n.Commits[rev.Commit].Target
		t.Node, t.Configuration = "n", "n"
		return nil
	})
	return t, err
}

// ResolveAs is not asked: no system brings another host name.
func (p *Process) ResolveAs(context.Context, reconcile.Revision, reconcile.Newcomer) (t reconcile.Target, known bool, err error) {
	return t, false, nil
}

// Plan finds a manifest of a commit that has one.
func (p *Process) Plan(ctx context.Context, j reconcile.Plan) (agent.Planned, error) {
	rev := j.From.Revision
	t, err := p.Resolve(ctx, rev)
	if err != nil {
		return agent.Planned{}, err
	}
	var top reconcile.Toplevel
	var audit bool
	err = p.effect(ctx, "plan", func() error {
		if !p.n.verified[rev.Commit] {
			p.n.Diary.Unverified = append(p.n.Diary.Unverified, "planned "+string(rev.Commit))
		}
		if p.n.NoManifests || p.n.cutOff() {
			return errors.New("there is no manifest")
		}
		c := p.n.Commits[rev.Commit]
		top, audit = cmp.Or(c.Manifest, c.System), c.Audited
		return nil
	})
	return agent.Planned{Target: t, Derivation: reconcile.Derivation(top + ".drv"), Toplevel: top, Manifest: reconcile.Manifest{Place: "ci", Signer: "ci"}, Audit: audit}, err
}

// nix is the process as the agent's Nix: a name of its own, for Nix and the
// registry both add and evaluate.
type nix struct{ *Process }

const tree = "/nix/store/tree"

func (p nix) Add(ctx context.Context, _, root string) (string, error) {
	return tree, p.effect(ctx, "add the tree", func() error {
		p.n.roots[root], p.n.NoTree = tree, false
		return nil
	})
}

func (p nix) Has(path string) bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return path == tree && !p.n.NoTree
}

func (p nix) Evaluate(ctx context.Context, rev reconcile.Revision, _ string) (reconcile.Derivation, reconcile.Toplevel, error) {
	var top reconcile.Toplevel
	var takes time.Duration
	var gone bool
	p.n.Do(func() {
		gone = p.n.NoTree
		if s := p.n.Systems[p.n.Commits[rev.Commit].System]; s != nil {
			takes = s.EvaluateTakes
		}
	})
	if sleep(ctx, takes); ctx.Err() != nil {
		return "", "", context.Cause(ctx)
	}
	err := p.effect(ctx, "evaluate", func() error {
		p.n.Diary.Evaluated++
		if !p.n.verified[rev.Commit] || rev.Tree != tree || gone {
			p.n.Diary.Unverified = append(p.n.Diary.Unverified, "evaluated "+string(rev.Commit)+" of "+rev.Tree)
		}
		top = p.n.Commits[rev.Commit].System
		if p.n.Systems[top].Unevaluable {
			return reconcile.Rejected(reconcile.GateEvaluate, errors.New("undefined variable"))
		}
		if p.n.Systems[p.n.loaded].Strays {
			top += "'"
		}
		return nil
	})
	return reconcile.Derivation(top + ".drv"), top, err
}

func (p nix) Prove(ctx context.Context, _ reconcile.Revision, _ string, _ bool) error {
	return p.effect(ctx, "build something", p.jammed)
}

// jammed reports an error where the loaded system's Nix builds nothing. The caller holds mu.
func (p nix) jammed() error {
	if p.n.Systems[p.n.loaded].Jams {
		return errors.New("the group nixbld has no members")
	}
	return nil
}

func (p nix) Build(ctx context.Context, from reconcile.Evaluated, root string, report func(reconcile.Progress)) error {
	rev, want := from.Revision, from.Toplevel
	var s System
	var gone bool
	p.n.Do(func() { s, gone = *p.n.Systems[want], p.n.NoTree })
	report(reconcile.Progress{ToBuild: 1})
	sleep(ctx, s.BuildTakes)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.effect(ctx, "build", func() error {
		if !p.n.verified[rev.Commit] || rev.Tree != tree || gone {
			p.n.Diary.Unverified = append(p.n.Diary.Unverified, "built "+string(rev.Commit)+" of "+rev.Tree)
		}
		if s.Unbuildable {
			return reconcile.Rejected(reconcile.GateBuild, errors.New("exit 1"))
		}
		if err := p.jammed(); err != nil {
			return err
		}
		p.n.roots[root] = string(want)
		return nil
	})
}

func (p nix) Copy(ctx context.Context, want reconcile.Toplevel, root string, report func(reconcile.Progress)) error {
	report(reconcile.Progress{ToCopy: 1})
	return p.effect(ctx, "copy", func() error {
		if p.n.Systems[want].Unbuildable {
			return errors.New("no cache has it")
		}
		p.n.roots[root] = string(want)
		return nil
	})
}

func (p nix) Root(ctx context.Context, name, path string) error {
	return p.effect(ctx, "root "+path, func() error { p.n.roots[name] = path; return nil })
}

func (p nix) Unroot(keep ...string) error {
	return p.effect(context.Background(), "unroot", func() error {
		maps.DeleteFunc(p.n.roots, func(name, _ string) bool { return !slices.Contains(keep, name) })
		return nil
	})
}
