package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newCredentials returns one credential, token, with the path of what it is a copy of.
func newCredentials(t *testing.T) (c credentials, file string) {
	t.Helper()
	dir := t.TempDir()
	unseen := hidden
	hidden = []string{filepath.Join(dir, "hidden") + "/"} // the test's own files are in /tmp
	t.Cleanup(func() { hidden = unseen })
	file = filepath.Join(dir, "fleet-token")
	c = credentials{dir: filepath.Join(dir, "copies"), files: map[string]string{"token": file, "unseen": filepath.Join(dir, "hidden/token"), "never copied": file}}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, file, "one\n")
	put(t, filepath.Join(c.dir, "token"), "one\n")
	put(t, filepath.Join(c.dir, "unseen"), "one\n")
	return c, file
}

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStaleCredentials(t *testing.T) {
	c, file := newCredentials(t)
	is := func(want string, mended bool) {
		t.Helper()
		if why, changed := c.stale(); changed != mended || (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("stale = %q, %v, want %q, %v", why, changed, want, mended)
		}
	}
	is("", false)
	put(t, file, "two\n")
	is(`the credential "token" is a copy of what `+file+` was before`, true)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	is(file+` is gone: at its next start the agent would lack the credential "token"`, false)
	put(t, filepath.Join(c.dir, "token"), "\n") // what the module gives where there was no file
	is("", false)
}

// An agent that a switch did not start again runs with the rights and limits of before.
func TestAUnitOfBefore(t *testing.T) {
	runs := agentRuns
	t.Cleanup(func() { agentRuns = runs })
	c := credentials{unit: "Restart=always\n"}
	for now, want := range map[string]bool{c.unit: false, "Restart=always\nPrivateNetwork=true\n": true, "": false} {
		agentRuns = func() string { return now }
		if why, changed := c.stale(); changed != want || want != strings.Contains(why, "infra-agent.service was before") {
			t.Errorf("with a unit %q: %q, %v", now, why, changed)
		}
	}
	agentRuns = func() string { return "Restart=no" }
	if why, changed := (credentials{}).stale(); why != "" || changed {
		t.Errorf("of an agent that systemd did not start: %q, %v", why, changed)
	}
}

// An agent that has just begun, or that builds, does not begin anew at once.
func TestOutdatedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, file := newCredentials(t)
		begun := time.Now()
		until := func(d time.Duration) func() bool {
			return func() bool { return time.Since(begun) < d }
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if why := c.outdated(ctx, until(0)); why != "" || time.Since(begun) != time.Hour {
			t.Errorf("after %v, with copies as they should be: %q", time.Since(begun), why)
		}
		put(t, file, "two\n")
		begun = time.Now()
		if why := c.outdated(t.Context(), until(0)); why == "" || time.Since(begun) != 10*time.Second {
			t.Errorf("after %v: %q, want ten seconds and a reason", time.Since(begun), why)
		}
		begun = time.Now()
		if why := c.outdated(t.Context(), until(time.Hour)); why == "" || time.Since(begun) != time.Hour {
			t.Errorf("after %v: %q, want the end of the build and a reason", time.Since(begun), why)
		}
	})
}
