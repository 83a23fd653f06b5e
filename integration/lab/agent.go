package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BuildAgent builds the agent of this module into dir, as a static binary that says it is the given version, with the
// given build tags, and returns its path. Build it once for all labs of a process.
func BuildAgent(ctx context.Context, dir, version string, tags ...string) (string, error) {
	path := filepath.Join(dir, "infra-agent-"+version)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-tags", strings.Join(tags, ","), "-o", path,
		"github.com/infra-agent/infra-agent/cmd/infra-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build agent %s: %w: %s", version, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}
