package laws_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/agenttest"
	"github.com/infra-agent/infra-agent/agent/agenttest/laws"
	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/guard"
	"github.com/infra-agent/infra-agent/agent/health"
	"github.com/infra-agent/infra-agent/agent/notify"
	"github.com/infra-agent/infra-agent/agent/store"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// simulated holds the laws against worlds of the simulated node, each in a bubble of its own.
func simulated[W any](t *testing.T, all []laws.Law[W], world func(*agenttest.Node, agent.Ports) W) {
	for _, law := range all {
		t.Run(law.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := agenttest.New()
				n.Systems = map[reconcile.Toplevel]*agenttest.System{
					"A": {}, "B": {}, "G": {Agent: agenttest.Agent}, "F": {Failing: "bad.service"}, "H": {Hangs: true}, "R": {Unpromotable: 1},
					"E": {Unevaluable: true}, "U": {Unbuildable: true},
				}
				n.Commits = map[reconcile.Commit]agenttest.Commit{
					"c0": {System: "A"}, "c1": {Parent: "c0", System: "B"}, "c2": {Parent: "c0", System: "A"},
					"ce": {Parent: "c0", System: "E"}, "cu": {Parent: "c0", System: "U"},
				}
				n.Remotes, n.Order = map[string]reconcile.Commit{"origin": "c1", "mirror": ""}, []string{"origin", "mirror"}
				n.Broken, n.Secrets = map[string]bool{"broken": true}, map[string]bool{"/run/secret": true}
				n.Start()
				defer n.Stop()
				synctest.Wait()
				law.Holds(t, world(n, n.Ports()))
			})
		})
	}
}

func node(n *agenttest.Node, p agent.Ports) laws.Node {
	return laws.Node{
		Lock: func() func() {
			n.Do(func() { n.Systems["G"].Locked = 1 })
			return func() {}
		},
		Ports: p, Old: "A", New: "B", WithAgent: "G", Failing: "F", Hanging: "H", Refused: "R", FailingUnit: "bad.service",
		Works: []string{"drain"}, Fails: []string{"broken"}, Secret: reconcile.Secret{Path: "/run/secret"},
	}
}

func TestSimulatedSwitch(t *testing.T) { simulated(t, laws.Switch, node) }

func TestSimulatedPrograms(t *testing.T) { simulated(t, laws.Programs, node) }

func TestSimulatedNix(t *testing.T) {
	simulated(t, laws.Nix, func(n *agenttest.Node, p agent.Ports) laws.Builder {
		return laws.Builder{
			Nix: p.Nix, Dir: "tree", Configuration: "n", Rooted: func(path string) bool { return n.Rooted(reconcile.Toplevel(path)) },
			Good: reconcile.Revision{Commit: "c1"}, Unevaluable: reconcile.Revision{Commit: "ce"}, Unbuildable: reconcile.Revision{Commit: "cu"},
		}
	})
}

func TestSimulatedStore(t *testing.T) {
	simulated(t, laws.Store, func(n *agenttest.Node, p agent.Ports) laws.Disk { return laws.Disk{Store: p.Store, Read: n.Record} })
}

func TestSimulatedSource(t *testing.T) {
	simulated(t, laws.Source, func(n *agenttest.Node, p agent.Ports) laws.Repository {
		return laws.Repository{
			Source: p.Source, First: "c0", Second: "c1", Aside: "c2", Remote: "origin", Silent: "mirror",
			Move: func(to reconcile.Commit) { n.Do(func() { n.Remotes["origin"] = to }) },
		}
	})
}

func TestSimulatedRegistry(t *testing.T) {
	simulated(t, laws.Registry, func(n *agenttest.Node, p agent.Ports) laws.Fleet {
		return laws.Fleet{
			Registry: p.Registry, Revision: reconcile.Revision{Commit: "c1"}, Node: "n", Files: "tree",
			Lose: func() { n.Do(func() { n.Systems["A"].Lost = true }) },
		}
	})
}

func TestSimulatedManifests(t *testing.T) {
	simulated(t, laws.Manifests, func(n *agenttest.Node, p agent.Ports) laws.Publication {
		from := reconcile.Fetched{Revision: reconcile.Revision{Commit: "c1"}, Purpose: reconcile.PurposeBranch}
		return laws.Publication{
			Manifests: p.Manifests, Commit: from, Node: "n", System: "B",
			Withdraw: func() { n.Do(func() { n.NoManifests = true }) },
			Restore:  func() { n.Do(func() { n.NoManifests = false }) },
			Audits: func() {
				n.Do(func() {
					c := n.Commits["c1"]
					c.Audited = true
					n.Commits["c1"] = c
				})
			},
			Lose: func() { n.Do(func() { n.Systems["A"].Lost = true }) },
		}
	})
}

func TestSimulatedReceivers(t *testing.T) {
	simulated(t, laws.Receivers, func(n *agenttest.Node, p agent.Ports) laws.Audience {
		return laws.Audience{
			Receivers: p.Store.(agent.Receivers), Next: n.WasTold,
			Heard: func() (ids []string) {
				n.Do(func() {
					for _, notice := range n.Diary.Notices {
						ids = append(ids, notice.ID)
					}
				})
				return ids
			},
		}
	})
}

func TestSimulatedFollower(t *testing.T) {
	simulated(t, laws.Follower, func(n *agenttest.Node, p agent.Ports) laws.Way {
		return laws.Way{
			Follower: p.Follower, Old: "G", WithoutAgent: "B",
			Change:  func() { n.Do(func() { n.Systems["A"].Settings = "other" }) },
			Answers: func(answers bool) { n.Do(func() { n.Offline = !answers }) },
		}
	})
}

func TestSimulatedGuard(t *testing.T) {
	simulated(t, laws.Guard, func(_ *agenttest.Node, p agent.Ports) laws.Watch { return laws.Watch{Guard: p.Guard} })
}

func TestRealGuard(t *testing.T) {
	for _, law := range laws.Guard {
		t.Run(law.Name, func(t *testing.T) {
			law.Holds(t, laws.Watch{Guard: &guard.Client{Place: guard.Dir(t.TempDir()), Boot: "boot-1", TrialUnits: system.TrialUnits}})
		})
	}
}

func TestSimulatedHealth(t *testing.T) {
	simulated(t, laws.Health, func(n *agenttest.Node, p agent.Ports) laws.Service {
		check := reconcile.Check{Name: "web", Kind: reconcile.CheckTCP, Timeout: time.Second}
		slow := check
		slow.Name = "slow"
		n.Do(func() { n.Systems["A"].CheckTakes = map[string]time.Duration{"slow": time.Minute} })
		return laws.Service{Health: p.Health, Green: check, Slow: slow, Answers: "git.example:443"}
	})
}

func TestRealStore(t *testing.T) {
	for _, law := range laws.Store {
		t.Run(law.Name, func(t *testing.T) {
			dir := t.TempDir()
			s, _, err := store.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			law.Holds(t, laws.Disk{Store: s, Read: func() reconcile.Record {
				rec, err := store.Read(dir)
				if err != nil {
					t.Fatal(err)
				}
				return rec
			}})
		})
	}
}

func TestRealHealth(t *testing.T) {
	open, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	program := (&system.Node{}).Run
	prober := &health.Prober{Program: func(ctx context.Context, c command.Command) ([]byte, error) { return program(ctx, "check", c) }}
	for _, law := range laws.Health {
		t.Run(law.Name, func(t *testing.T) {
			law.Holds(t, laws.Service{
				Health: real{prober}, Answers: open.Addr().String(),
				Green: reconcile.Check{Name: "web", Kind: reconcile.CheckTCP, Target: open.Addr().String(), Timeout: time.Minute},
				Slow:  reconcile.Check{Name: "slow", Kind: reconcile.CheckExec, Command: []string{"/bin/sleep", "1000"}, Timeout: time.Millisecond},
			})
		})
	}
}

func TestRealReceivers(t *testing.T) {
	for _, law := range laws.Receivers {
		t.Run(law.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := notify.Options{
					Path: filepath.Join(t.TempDir(), "told.json"), Spread: func() float64 { return 1 }, Log: slog.New(slog.DiscardHandler),
					Trouble: func(what, why string) { t.Errorf("%s: %s", what, why) },
				}
				n, all := notify.Open(o), &hears{}
				n.Use([]notify.Receiver{{Name: "people", Kinds: reconcile.NoticeKinds, To: all}})
				ctx, cancel := context.WithCancel(t.Context())
				var life sync.WaitGroup
				life.Go(func() { n.Run(ctx) })
				end := func() { cancel(); life.Wait() }
				defer end()
				law.Holds(t, laws.Audience{
					Receivers: n,
					Heard:     func() []string { synctest.Wait(); return all.ids },
					Next:      func() reconcile.Told { end(); return notify.Open(o).Told() },
				})
			})
		})
	}
}

// hears is a receiver of one goroutine.
type hears struct{ ids []string }

func (h *hears) Send(_ context.Context, n reconcile.Notice) error {
	h.ids = append(h.ids, n.ID)
	return nil
}

// real is package health as the agent's port.
type real struct{ *health.Prober }

func (real) Answered(ctx context.Context, targets []string) map[string]bool {
	return health.Answered(ctx, targets)
}

func (real) DefaultTargets(context.Context) []string { return nil }
