package convention

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/registry"
)

// FuzzCheck: no panic; each finding has a rule, a message and a place; the same file
// gives the same findings; and what the agent would refuse, the file or one of its
// nodes, is an error.
func FuzzCheck(f *testing.F) {
	for _, cases := range [][]ruleCase{nameCases, vmidCases, nodeCases, fileCases} {
		for _, c := range cases {
			if len(c.text) < 1000 {
				f.Add(c.text)
			}
		}
	}
	f.Add("\"\" = 1\n[nodes.a]\n\"\" = 1") // a struct's field without a key
	tables := Default()
	rules := []string{Format}
	for _, r := range Rules() {
		rules = append(rules, r.ID)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := Input{Name: "f", Tables: tables, Outputs: []string{"a", "web-01"}}
		in.Previous, _ = registry.Read("before", []byte("schema = 1\n[nodes.a]\nvmid = 100"))
		got := in.validate(text)
		if again := in.validate(text); !cmp.Equal(got, again) {
			t.Fatalf("judged again (-first +second):\n%s", cmp.Diff(got, again))
		}
		errors := 0
		for _, f := range got {
			if !slices.Contains(rules, f.Rule) || f.Message == "" || f.Line < 1 || f.Column < 1 || f.Severity == Off {
				t.Fatalf("%+v: want a rule, a message, a place and a severity", f)
			}
			if f.Severity == Error {
				errors++
			}
		}
		file, err := registry.Parse("f", []byte("schema = 1\n"+text))
		if err != nil && errors == 0 {
			t.Fatalf("no error, and the agent refuses: %v", err)
		}
		if err != nil {
			return
		}
		for name := range file.Nodes {
			n := file.Nodes[name]
			if _, err := file.Target(name); err != nil && errors == 0 && n.IsManaged() && n.Kind != "template" {
				t.Fatalf("no error, and the agent refuses %s: %v", name, err)
			}
			if p, err := Next(file, tables, name); err == nil && slices.Contains(p.Range.IDs, p.ID) {
				t.Fatalf("Next(%s) = %d, which is used", name, p.ID)
			}
		}
	})
}
