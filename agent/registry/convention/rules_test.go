package convention

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// TestEveryRuleIsThere compares the rules with a list written by hand.
func TestEveryRuleIsThere(t *testing.T) {
	want := strings.Fields(`
		N001 N002 N003 N004 N005 N006 N007 N008 N009 N010 N011 N012 N013 N014 N015
		R001 R002 R003 R004 R005 R006 R007 R008 R009 R010 R011 R012 R013 R014
		T001 T002 T003 T004 T005 T006 T007
		V001 V002 V003 V004 V005 V006 V007 V008 V009 V010 V011 V012 V013`)
	var got, always []string
	for _, r := range Rules() {
		got = append(got, r.ID)
		if r.Always && (r.ID[0] == 'N' || r.ID[0] == 'V') {
			always = append(always, r.ID)
		}
		if r.Scope == "" || r.Text == "" {
			t.Errorf("%s is not explained", r.ID)
		}
		if judges := r.node != nil || r.fleet != nil; judges == (r.ID[0] == 'T') {
			t.Errorf("%s: judges = %t", r.ID, judges)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if want := "N001 N002 N011 N012 N013 V001 V002"; strings.Join(always, " ") != want {
		t.Errorf("rules of names and VM ids that nothing caps: %v, want %s", always, want)
	}
}

// defaults are read once: under the race detector that takes a while.
var defaults = sync.OnceValue(Default)

// known is what a case knows beside the file.
type known struct {
	roles    string // files and folders of the checkout, by white space
	flake    string // text of flake.nix
	outputs  []string
	previous string
}

// findings judges a registry.
func findings(t testing.TB, text string, k known) []Finding {
	t.Helper()
	in := Input{Name: "f", Tables: defaults(), Outputs: k.outputs, Discovered: Discover(checkout(k))}
	if k.previous != "" {
		var problems []strict.Problem
		if in.Previous, problems = registry.Read("before", []byte("schema = 1\n"+k.previous)); problems != nil {
			t.Fatal(problems)
		}
	}
	return in.validate(text)
}

// judge judges a registry. A line schema = 1 is put before it, so that its own first
// line is the second.
func (in Input) validate(text string) []Finding {
	text, marked := strings.CutPrefix(text, "\ufeff")
	text = "schema = 1\n" + text
	if marked {
		text = "\ufeff" + text
	}
	in.File, in.Problems = registry.Read("f", []byte(text))
	return Check(in)
}

func (f Finding) line() string {
	return fmt.Sprintf("%d:%d %s %s: %s (%s)", f.Line, f.Column, f.Severity, f.Key, f.Message, f.Fix)
}

// of are the findings of one rule, a line each.
func of(rule string, all []Finding) string {
	var lines []string
	for _, f := range all {
		if f.Rule == rule {
			lines = append(lines, f.line())
		}
	}
	return strings.Join(lines, "\n")
}

// A ruleCase shows what one rule says, and what it does not: want is empty.
type ruleCase struct {
	rule, name, text string
	known            known
	want             string
}

func TestRules(t *testing.T) {
	fails, passes := map[string]bool{}, map[string]bool{}
	for _, cases := range [][]ruleCase{nameCases, vmidCases, nodeCases, fileCases} {
		for _, c := range cases {
			t.Run(c.rule+" "+c.name, func(t *testing.T) {
				got := of(c.rule, findings(t, c.text, c.known))
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s of\n%s\n(-want +got):\n%s", c.rule, c.text, diff)
				}
			})
			fails[c.rule] = fails[c.rule] || c.want != ""
			passes[c.rule] = passes[c.rule] || c.want == ""
		}
	}
	for _, r := range Rules() {
		if !fails[r.ID] || !passes[r.ID] {
			t.Errorf("%s: a case that fails: %t, one that passes: %t; want both", r.ID, fails[r.ID], passes[r.ID])
		}
	}
}

var fileCases = []ruleCase{
	{rule: "T001", name: "date", text: "[nodes.a]\nmeta = {bought = 1979-05-27}", want: "3:9 error nodes.a.meta.bought: dates and times are not supported (write it as a string)"},
	{rule: "T001", name: "time", text: "[nodes.a]\nmeta = 07:32:00", want: "3:1 error nodes.a.meta: dates and times are not supported (write it as a string)"},
	{rule: "T001", name: "string", text: "[nodes.a]\nmeta = {bought = '1979-05-27'}"},
	{rule: "T002", name: "comma", text: "[nodes.a]\nnaming = {exempt = true,}", want: "3:24 error : a comma at the end in an inline table is TOML 1.1, which Nix does not read (remove the comma)"},
	{rule: "T002", name: "line end", text: "[nodes.a]\nnaming = {\nexempt = true}", want: "3:11 error : a line end in an inline table is TOML 1.1, which Nix does not read (write it on one line, or as a table of its own)"},
	{rule: "T002", name: "escapes", text: "[nodes.a]\nmeta = \"\\e\\x41\"", want: "3:9 error : the escape \\e is TOML 1.1, which Nix does not read (write \\u and four digits)\n" +
		"3:11 error : the escape \\x is TOML 1.1, which Nix does not read (write \\u and four digits)"},
	{rule: "T002", name: "list", text: "[nodes.a]\nroles = [\n'x',\n]\nmeta = '\\e'"},
	{rule: "T003", name: "2^63", text: "[nodes.a]\nvmid = 9223372036854775808", want: "3:1 error nodes.a.vmid: 9223372036854775808 does not fit 64 bits ()"},
	{rule: "T003", name: "hex", text: "[nodes.a]\nmeta = 0x1_0000_0000_0000_0000", want: "3:1 error nodes.a.meta: 0x1_0000_0000_0000_0000 does not fit 64 bits ()"},
	{rule: "T003", name: "fraction", text: "[nodes.a]\nmeta = 1e400", want: "3:1 error nodes.a.meta: 1e400 does not fit 64 bits ()"},
	{rule: "T003", name: "inf, nan", text: "[nodes.a]\nmeta = [-inf, nan]", want: "3:9 error nodes.a.meta[0]: inf and nan are not supported ()\n3:15 error nodes.a.meta[1]: inf and nan are not supported ()"},
	{rule: "T003", name: "2^63-1", text: "[nodes.a]\nmeta = 9223372036854775807"},
	{rule: "T004", name: "outPath", text: "[nodes.a]\nmeta.outPath = 'x'", want: "3:1 error nodes.a.meta.outPath: Nix gives keys that start with _, and outPath, a meaning of their own (choose another name)"},
	{rule: "T004", name: "__toString", text: "[nodes.__toString]", want: "2:1 error nodes.__toString: Nix gives keys that start with _, and outPath, a meaning of their own (choose another name)"},
	{rule: "T004", name: "near", text: "[nodes.a]\nmeta.outpath = 'x'\nmeta.a_ = 'outPath'"},
	{rule: "T005", name: "escaped", text: "[nodes.a]\nreason = \"x\\u0000\"", want: "3:1 error nodes.a.reason: holds a NUL character, at which Nix ends a string (remove it)"},
	{rule: "T005", name: "raw", text: "[nodes.a]\nreason = 'x\x00'", want: "3:12 error : holds a NUL character, which Nix does not read (remove it)"},
	{rule: "T005", name: "key", text: "[nodes.a]\nmeta.\"x\\u0000\" = 1", want: "3:1 error nodes.a.meta.\"x\\x00\": the key holds a NUL character, at which Nix ends it (choose another name)"},
	{rule: "T005", name: "backslash", text: "[nodes.a]\nreason = 'x\\u0000'"},
	{rule: "T006", name: "mark", text: "\ufeff[nodes.a]", want: "1:1 error : starts with a byte-order mark, which Nix and others read differently (save it as plain UTF-8)"},
	{rule: "T006", name: "within", text: "[nodes.a]\nreason = '\ufeff'"},
	{rule: "T007", name: "UTF-8", text: "[nodes.a]\nreason = '\xff'", want: "3:11 error : is not UTF-8 text (save it as plain UTF-8)"},
	{rule: "T007", name: "depth", text: "[nodes.a]\nmeta = " + strings.Repeat("[", 7) + strings.Repeat("]", 7), want: "3:14 error : nested more than 8 levels deep ()"},
	{rule: "T007", name: "size", text: strings.Repeat("#", 16<<20), want: "1:1 error : 16777227 bytes are more than the limit of 16777216 ()"},
	{rule: "T007", name: "8 levels", text: "[nodes.a]\nmeta = " + strings.Repeat("[", 6) + strings.Repeat("]", 6)},
}
