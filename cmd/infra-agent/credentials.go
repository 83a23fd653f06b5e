package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/system"
)

// credentials are what systemd gave the agent when it started it: copies of files, and the
// rights and limits of its unit. What takes their place later counts at the next start alone: a
// commit may bring another token, or a unit that keeps the agent from the network, and the
// agent would be judged by the old one.
type credentials struct {
	dir   string            // of the copies
	files map[string]string // what they are copies of, by name
	unit  string            // how systemd runs the agent, see [system.AgentRuns]; "": it is not known
}

// hidden are directories of which the unit sees nothing, or its own: ProtectHome, PrivateTmp
// and PrivateDevices of systemd.exec(5).
var hidden = []string{"/root/", "/home/", "/run/user/", "/tmp/", "/var/tmp/", "/dev/shm/"}

// stale says what is wrong with the copies; "": nothing, as far as the files can be read.
// changed says that a new start would mend it.
func (c credentials) stale() (why string, changed bool) {
	if now := agentRuns(); c.unit != "" && now != "" && now != c.unit { // one that is taken off its node has no unit
		return fmt.Sprintf("the agent runs as %s was before", system.AgentUnit), true
	}
	for name, file := range c.files {
		if slices.ContainsFunc(hidden, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			continue
		}
		copied, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			continue
		}
		switch now, err := os.ReadFile(file); {
		case err == nil && !bytes.Equal(now, copied):
			return fmt.Sprintf("the credential %q is a copy of what %s was before", name, file), true
		case errors.Is(err, fs.ErrNotExist) && len(bytes.TrimSpace(copied)) > 0:
			why = fmt.Sprintf("%s is gone: at its next start the agent would lack the credential %q", file, name)
		}
	}
	return why, false
}

var agentRuns = system.AgentRuns // for a test to replace

// How often the files are looked at, and how long an agent runs before it begins anew for
// them: some are renewed all the time.
const (
	credentialsEvery = 5 * time.Second
	credentialsAfter = 10 * time.Second
)

// outdated waits until a copy is no longer what a new start would give, and says why. While
// busy says so, it waits on.
func (c credentials) outdated(ctx context.Context, busy func() bool) string {
	tick := time.NewTicker(credentialsEvery)
	defer tick.Stop()
	for begun := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ""
		case now := <-tick.C:
			if why, changed := c.stale(); changed && now.Sub(begun) >= credentialsAfter && !busy() {
				return why
			}
		}
	}
}
