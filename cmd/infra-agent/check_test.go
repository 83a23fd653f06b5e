package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A system that moves the record away from its own trial is refused, and not rolled back.
func TestHandoverKeepsTheRecordInItsPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	record, err := os.ReadFile("../../agent/store/testdata/state-1.json")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "state.json"), string(record))
	for state, want := range map[string]string{dir: "", dir + "/": "", "/persist/infra-agent": "its state_dir is /persist/infra-agent, and this node's record is in " + dir} {
		write(t, path, fmt.Sprintf("state_dir = %q\nsource.remotes = [{ url = \"/srv/fleet\" }]\n", state))
		got := answer(filepath.Join(dir, "state.json"), path).Refusal
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: refused with %q, want %q", state, got, want)
		}
	}
}
