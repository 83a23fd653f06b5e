package system

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Drop-ins for many units are drop-ins of each, systemd.unit(5).
func TestDropIns(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"service.d/a.conf", "infra-.service.d/b.conf", "infra-agent.service.d/c.conf", "infra-agent-.service.d/d.conf", "socket.d/e.conf", "service.d/f.txt"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for unit, want := range map[string][]string{
		"infra-agent.service": {"service.d/a.conf", "infra-.service.d/b.conf", "infra-agent.service.d/c.conf"},
		"nix-daemon.socket":   {"socket.d/e.conf"},
	} {
		var got []string
		for _, file := range dropIns(dir, unit) {
			got = append(got, strings.TrimPrefix(file, dir+"/"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %s: %q, want %q", unit, got, want)
		}
	}
}

// What a switch alone reads, and what orders units, changes no process.
func TestExecution(t *testing.T) {
	const unit = `[Unit]
Description=An agent
X-Reload-Triggers=/nix/store/a
After=network.target
Requires=gone.service
[Service]
; a comment
# another
X-RestartIfChanged=false
 Restart=always
PrivateNetwork=true

[Install]
WantedBy=multi-user.target
`
	if got, want := execution(unit), "Requires=gone.service\nRestart=always\nPrivateNetwork=true\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := directive(unit, "Restart"); got != "always" {
		t.Errorf("Restart is %q", got)
	}
}
