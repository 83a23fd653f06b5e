//go:build integration

// Package integration tests the agent from outside, on real systemd nodes with real Nix and git.
package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
)

// idleAgent stands for an agent that does nothing, where a test is about the lab.
const idleAgent = "#!/bin/sh\n[ \"$1\" = run ] || exit 0\nexec systemd-notify --ready --exec \\; sleep infinity\n"

func newLab(t *testing.T, options lab.Options) *lab.Lab {
	t.Helper()
	l, err := lab.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Report())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func newIdleLab(t *testing.T) *lab.Lab {
	t.Helper()
	agent := filepath.Join(t.TempDir(), "agent")
	check(t, os.WriteFile(agent, []byte(idleAgent), 0o755))
	return newLab(t, lab.Options{Agents: map[string]string{"test": agent}})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		check(t, err)
		return value
	}
}
