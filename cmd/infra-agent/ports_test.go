package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/infra-agent/infra-agent/agent/agenttest/laws"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// TestRegistryObeysItsLaws holds the registry of a tree on disk against what the simulated one does.
func TestRegistryObeysItsLaws(t *testing.T) {
	for _, law := range laws.Registry {
		t.Run(law.Name, func(t *testing.T) {
			tree := t.TempDir()
			has := func(nodes string) { write(t, filepath.Join(tree, "infrastructure.toml"), "schema = 1\n"+nodes) }
			has("[nodes.web1]\n[nodes.web2]\n")
			s := config.Default()
			s.Node = "web1"
			law.Holds(t, laws.Fleet{
				Registry: registryPort{Resolver: resolver(s), identity: identity(s)},
				Revision: reconcile.Revision{Tree: tree}, Node: "web1", Lose: func() { has("[nodes.web2]\n") },
			})
		})
	}
}

// TestFollowerObeysItsLaws asks a program that stands in for the old system's agent: what an
// agent answers to the question is shown by the tests of package handover and in the lab.
func TestFollowerObeysItsLaws(t *testing.T) {
	for _, law := range laws.Follower {
		t.Run(law.Name, func(t *testing.T) {
			dir := t.TempDir()
			old, path, agent := filepath.Join(dir, "old"), filepath.Join(dir, "config.toml"), filepath.Join(dir, "agent")
			settings := "[[source.remotes]]\nurl = \"https://git.example.org/fleet.git\"\n"
			for _, d := range []string{"etc/systemd/system", filepath.Dir(system.SettingsFile)} {
				if err := os.MkdirAll(filepath.Join(old, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write(t, path, settings)
			write(t, filepath.Join(old, system.SettingsFile), settings)
			write(t, filepath.Join(old, "etc/systemd/system", system.AgentUnit), "[Service]\nExecStart="+agent+" run\n")
			s, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			law.Holds(t, laws.Way{
				Follower: followPort{path: path, settings: s, self: "agent", system: &system.Node{}},
				Old:      reconcile.Toplevel(old), WithoutAgent: reconcile.Toplevel(dir),
				Change: func() { write(t, path, settings+"timeout = \"20s\"\n") },
				Answers: func(answers bool) {
					status := map[bool]string{true: "0", false: "1"}[answers]
					if err := os.WriteFile(agent, []byte("#!/bin/sh\nexit "+status+"\n"), 0o755); err != nil { //nolint:gosec // a program
						t.Fatal(err)
					}
				},
			})
		})
	}
}
