package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/registry/convention"
)

// largeRegistry is a registry of n nodes with half a kilobyte each, and findings of
// many kinds.
func largeRegistry(n int) string {
	var b strings.Builder
	b.WriteString("schema = 1\n[fleet]\nname = \"large\"\ndomain = \"example.org\"\n[waves]\norder = [\"canary\", \"rest\"]\n")
	for i := range 200 {
		fmt.Fprintf(&b, "[roles.role-%03d]\ndescription = \"one of many\"\n[roles.role-%03d.checks.answers]\nkind = \"tcp\"\ntarget = \"{address}:%d\"\n", i, i, 1000+i)
	}
	for i := range n {
		purpose := []string{"dns", "web", "db", "starr-media", "unlisted"}[i%5]
		fmt.Fprintf(&b, `
# Node %d of the rack at the window, which somebody described in a comment of two lines,
# because half a kilobyte is what a node of a real registry has.
[nodes.%s-%s-%02d]
system      = "x86_64-linux"
hostname    = "host-%05d"
address     = "10.%d.%d.%d"
roles       = ["role-%03d", "role-%03d", "role-%03d"]
tags        = ["rack-%d", "infra", "managed-by-infra-agent"]
environment = "production"
wave        = "rest"
vmid        = %d
depends_on  = []
[nodes.%s-%s-%02d.proxy]
port        = 8080
`, i, purpose, word(i/495), i/5%99+1, i, i>>16, i>>8&255, i&255, i%200, (i+7)%200, (i+13)%200, i%40, 100+i, purpose, word(i/495), i/5%99+1)
	}
	return b.String()
}

// word spells a number with letters.
func word(n int) string { return string([]byte{'a' + byte(n/26%26), 'a' + byte(n%26)}) }

func TestConventionsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| rule | severity | about | what holds | silenced by |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range convention.Rules() {
		severity := r.Severity.String()
		if r.Always && (r.ID[0] == 'N' || r.ID[0] == 'V') {
			severity += ", always"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.ID, severity, r.Scope, r.Text, r.Unless)
	}
	tables := convention.Default()
	b.WriteString("\n### Prefixes\n\n| prefix | for | ranges that suit it |\n| --- | --- | --- |\n")
	for _, p := range tables.Naming.Prefixes {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.ID, p.Label, strings.Join(p.VMID, ", "))
	}
	b.WriteString("\n### VM ids\n\n| range | ids | for |\n| --- | --- | --- |\n")
	for _, r := range tables.VMID.Ranges {
		fmt.Fprintf(&b, "| %s | %d-%d | %s |\n", r.ID, r.From, r.To, r.Label)
	}
	inDocs(t, "conventions.md", b.String())
}

// BenchmarkRegistryCheck is the whole command: from the file to the text.
func BenchmarkRegistryCheck(b *testing.B) {
	dir := b.TempDir()
	text := largeRegistry(10_000)
	if err := os.WriteFile(filepath.Join(dir, registryFile), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	var out strings.Builder
	for b.Loop() {
		out.Reset()
		c := root()
		c.SetOut(&out)
		c.SetArgs([]string{"registry", "check", dir})
		if err := c.ExecuteContext(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if want := "10000 nodes, 200 roles: 21400 warnings, 2055 infos, 470 hints\n"; !strings.HasSuffix(out.String(), want) {
		b.Errorf("the report ends %q, want %q", out.String()[out.Len()-100:], want)
	}
	b.ReportMetric(float64(len(text)), "bytes-read")
}
