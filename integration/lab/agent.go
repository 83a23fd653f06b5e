package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Change is what another version of the agent has instead of a text that stands once in a file of this module.
type Change struct{ File, Old, New string }

// BuildAgent builds the agent of this module into dir, as a static binary that says it is the given version, with the
// given changes, and returns its path. Build it once for all labs of a process.
func BuildAgent(ctx context.Context, dir, version string, changes ...Change) (string, error) {
	path := filepath.Join(dir, "infra-agent-"+version)
	overlay, err := changed(ctx, dir, changes)
	if err != nil {
		return "", fmt.Errorf("build agent %s: %w", version, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-overlay", overlay, "-o", path,
		"github.com/infra-agent/infra-agent/cmd/infra-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build agent %s: %w: %s", version, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

// changed writes changed files of the module beside it, and returns the list of them that "go build -overlay" reads.
func changed(ctx context.Context, dir string, changes []Change) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, c := range changes {
		path := filepath.Join(root, c.File)
		now := path
		if before, again := overlay.Replace[path]; again {
			now = before
		}
		text, err := os.ReadFile(now)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), c.Old); n != 1 {
			return "", fmt.Errorf("%s has %q %d times, want once", c.File, c.Old, n)
		}
		overlay.Replace[path] = filepath.Join(dir, fmt.Sprintf("change-%d.go", i))
		if err := os.WriteFile(overlay.Replace[path], []byte(strings.Replace(string(text), c.Old, c.New, 1)), 0o600); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(overlay)
	file := filepath.Join(dir, "overlay.json")
	return file, errors.Join(err, os.WriteFile(file, data, 0o600))
}
