package journal

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

const catalog = "../../packaging/infra-agent.catalog"

// Every kind has an id of its own, every id an entry in the catalogue, and every entry an id.
func TestTheCatalogueExplainsEachMessage(t *testing.T) {
	text, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, m := range regexp.MustCompile(`(?m)^-- ([0-9a-f]{32})$`).FindAllStringSubmatch(string(text), -1) {
		entries = append(entries, m[1])
	}
	kinds := map[string]reconcile.NoticeKind{}
	for _, kind := range reconcile.NoticeKinds {
		id := MessageIDs[kind]
		if other, taken := kinds[id]; taken || len(id) != 32 {
			t.Errorf("%s has the id %q, which is no id or that of %s", kind, id, other)
		}
		kinds[id] = kind
		if !slices.Contains(entries, id) {
			t.Errorf("%s has no entry -- %s in %s", kind, id, catalog)
		}
	}
	for i, id := range entries {
		if kinds[id] == "" || slices.Contains(entries[:i], id) {
			t.Errorf("%s: nothing has the id %s, or it is there twice", catalog, id)
		}
	}
	if len(MessageIDs) != len(reconcile.NoticeKinds) {
		t.Errorf("%d ids for %d kinds", len(MessageIDs), len(reconcile.NoticeKinds))
	}
	// What the entries name are fields that a notice has.
	for _, m := range regexp.MustCompile(`@([A-Z_]+)@`).FindAllStringSubmatch(string(text), -1) {
		if key, ours := strings.CutPrefix(m[1], prefix); !ours || !slices.Contains([]string{"DEPLOYMENT", "REVISION", "FROM", "TO", "REASON", "GATE", "WHY"}, key) {
			t.Errorf("%s: no notice has the field %s", catalog, m[1])
		}
	}
}

// systemd itself reads the catalogue.
func TestJournalctlReadsTheCatalogue(t *testing.T) {
	journalctl, err := exec.LookPath("journalctl")
	if err != nil {
		t.Skip("needs journalctl")
	}
	root := t.TempDir()
	text, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "usr/lib/systemd/catalog")
	for _, d := range []string{dir, filepath.Join(root, "var/lib/systemd/catalog")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "infra-agent.catalog"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), journalctl, "--root="+root, "--update-catalog").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("update the catalogue: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), journalctl, "--root="+root, "--list-catalog").CombinedOutput()
	if err != nil {
		t.Fatalf("list the catalogue: %v\n%s", err, out)
	}
	for kind, id := range MessageIDs {
		if !strings.Contains(string(out), id+" infra-agent: ") {
			t.Errorf("journalctl does not know %s (%s):\n%s", id, kind, out)
		}
	}
}
