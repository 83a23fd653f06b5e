package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/infra-agent/infra-agent/agent/agenttest/laws"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
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
				Revision: reconcile.Revision{Tree: tree}, Node: "web1", Files: tree, Lose: func() { has("[nodes.web2]\n") },
			})
		})
	}
}

// TestManifestsObeyTheirLaws has a machine that evaluates for others put its manifests on a branch.
func TestManifestsObeyTheirLaws(t *testing.T) {
	needs(t, "git", "ssh-keygen")
	const system, branch = "/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-web1", "refs/heads/manifests"
	for _, law := range laws.Manifests {
		t.Run(law.Name, func(t *testing.T) {
			p, s, from := published(t, `node = "web1"`, "schema = 1\n[nodes.web1]\n[nodes.web2]\n", "", map[string]manifest.Node{
				"web1": {System: "x86_64-linux", Toplevel: system, Derivation: "/nix/store/4mrb4hlcnnbd3r4l2cjb8h8p0x3yz4ma-nixos-system-web1.drv"},
			})
			remote := s.Source.Remotes[0].URL
			tip := ran(t, remote, "git", "rev-parse", branch)
			law.Holds(t, laws.Publication{
				Manifests: &p, Commit: from, Node: "web1", System: system,
				Withdraw: func() { ran(t, remote, "git", "update-ref", "-d", branch) },
				Restore:  func() { ran(t, remote, "git", "update-ref", branch, tip) },
				Audits:   func() { p.settings.Audit = "100%" },
				Lose: func() {
					write(t, filepath.Join(from.Revision.Tree, "infrastructure.toml"), "schema = 1\n[nodes.web2]\n")
				},
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
