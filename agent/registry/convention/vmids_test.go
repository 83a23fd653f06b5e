package convention

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/registry"
)

const classes = "100-999 (Production VMs), 1000-1999 (Templates), 2000-2999 (Development/Test VMs), 9000-9999 (Temporary/Clone VMs)"

var vmidCases = []ruleCase{
	{rule: "V001", name: "negative", text: "[nodes.a]\nvmid = -1", want: "3:1 error nodes.a.vmid: Proxmox has no VM id -1 (choose one from 100 to 999999999)"},
	{rule: "V001", name: "too large, whatever level", text: "[fleet]\nvmid = 'off'\n[nodes.a]\nvmid = 1000000000", want: "5:1 error nodes.a.vmid: Proxmox has no VM id 1000000000 (choose one from 100 to 999999999)"},
	{rule: "V001", name: "string", text: "[nodes.a]\nvmid = '100'", want: "3:1 error nodes.a.vmid: want an integer, got a string ()"},
	{rule: "V001", name: "smallest", text: "[nodes.a]\nvmid = 100"},
	{rule: "V001", name: "largest", text: "[nodes.a]\nvmid = 999999999"},

	{rule: "V002", name: "99", text: "[nodes.a]\nvmid = 99\n[fleet]\nvmid = 'off'", want: "3:1 error nodes.a.vmid: Proxmox keeps 1 to 99 for itself (choose one from 100 to 999999999)"},
	{rule: "V002", name: "100", text: "[nodes.a]\nvmid = 100"},

	{rule: "V003", name: "3000", text: "[nodes.a]\nvmid = 3000", want: "3:1 warn nodes.a.vmid: 3000 is in no class of the convention (choose one of " + classes + ")"},
	{rule: "V003", name: "10000", text: "[nodes.a]\nvmid = 10000", want: "3:1 warn nodes.a.vmid: 10000 is in no class of the convention (choose one of " + classes + ")"},
	{rule: "V003", name: "off", text: "[fleet]\nvmid = 'off'\n[nodes.a]\nvmid = 3000"},
	{rule: "V003", name: "reason", text: "[nodes.a]\nvmid = 8999\nvmid_reason = 'from the old cluster'"},
	{rule: "V003", name: "the last of each class", text: "[nodes.a]\nvmid = 899\n[nodes.b]\nvmid = 2999"},

	{rule: "V004", name: "900", text: "[nodes.a]\nvmid = 900", want: "3:1 warn nodes.a.vmid: 900 is reserved: future-use-expansion 900-999 (Future Use/Expansion) (choose another)"},
	{rule: "V004", name: "level error", text: "[fleet]\nvmid = 'error'\n[nodes.a]\nvmid = 1999", want: "5:1 error nodes.a.vmid: 1999 is reserved: reserved-for-future-templates 1500-1999 (Reserved for Future Templates) (choose another)"},
	{rule: "V004", name: "899", text: "[nodes.a]\nvmid = 899"},
	{rule: "V004", name: "reason", text: "[nodes.a]\nvmid = 950\nvmid_reason = 'x'"},

	{rule: "V005", name: "no template", text: "[nodes.a]\nvmid = 1000\nkind = 'vm'", want: `3:1 warn nodes.a.vmid: 1000 is for templates (write kind = "template", or choose another id)`},
	{rule: "V005", name: "managed template", text: "[nodes.a]\nkind = 'template'\nmanaged = true", want: `4:1 warn nodes.a.managed: a template runs no agent and is never deployed to (remove it)`},
	{rule: "V005", name: "template elsewhere", text: "[nodes.a]\nvmid = 120\nkind = 'template'"},
	{rule: "V005", name: "template", text: "[nodes.a]\nvmid = 1999\nkind = 'template'\nvmid_reason = 'x'"},

	{rule: "V006", name: "stays", text: "[fleet]\nvmid = 'error'\n[nodes.a]\nvmid = 9000", want: "5:1 error nodes.a.vmid: 9000 is for machines that do not stay (write ephemeral = true, or choose another id)"},
	{rule: "V006", name: "ephemeral", text: "[nodes.a]\nvmid = 9999\nephemeral = true"},

	{rule: "V007", name: "staging", text: "[nodes.a]\nvmid = 200\nenvironment = 'Staging'", want: `3:1 warn nodes.a.vmid: 200 is of "Production VMs", and not for environment = "Staging" (choose one of 2400-2599 (Staging Environment))`},
	{rule: "V007", name: "production", text: "[nodes.a]\nvmid = 2000\nenvironment = 'production'", want: `3:1 warn nodes.a.vmid: 2000 is of "Development/Test VMs", and not for environment = "production" (choose one of 100-999 (Production VMs))`},
	{rule: "V007", name: "where it belongs", text: "[nodes.a]\nvmid = 2600\nenvironment = 'qa'\n[nodes.b]\nvmid = 200\nenvironment = 'production'\n[nodes.c]\nvmid = 201\nenvironment = 'lab'"},
	{rule: "V007", name: "reason", text: "[nodes.a]\nvmid = 200\nenvironment = 'dev'\nvmid_reason = 'moved'"},
	{rule: "V007", name: "reserved is V004", text: "[nodes.a]\nvmid = 950\nenvironment = 'dev'"},

	{rule: "V008", name: "web among databases", text: "[nodes.web-01]\nvmid = 220", want: `3:1 hint nodes.web-01.vmid: 220 is of "Database Servers", which does not sound like "web" (fitting are 200-219 (Web Services))`},
	{rule: "V008", name: "same as a listed prefix", text: "[nodes.hass-01]\nvmid = 100", want: `3:1 hint nodes.hass-01.vmid: 100 is of "DNS/DHCP", which does not sound like "hass" (fitting are 280-299 (Home Automation))`},
	{rule: "V008", name: "second range", text: "[nodes.fw-01]\nvmid = 170"},
	{rule: "V008", name: "development", text: "[nodes.web-01]\nvmid = 2000"},
	{rule: "V008", name: "reserved is V004", text: "[nodes.web-01]\nvmid = 950"},
	{rule: "V008", name: "unknown prefix", text: "[nodes.starr-01]\nvmid = 100"},

	{rule: "V009", name: "9 of 10", text: crowd(9), want: "20:1 info nodes.dns-09.vmid: 9 of 10 ids are used in dns-dhcp 100-109 (DNS/DHCP) (give the next machine an id of another range)"},
	{rule: "V009", name: "8 of 10", text: crowd(8)},

	{rule: "V010", name: "class", text: "[nodes.a]\nvmid = 3000", want: `3:1 warn nodes.a.vmid: nothing says why 3000 deviates (or write vmid_reason = "why")`},
	{rule: "V010", name: "reserved, blank", text: "[nodes.a]\nvmid = 900\nvmid_reason = ' '", want: `3:1 warn nodes.a.vmid: nothing says why 900 deviates (or write vmid_reason = "why")`},
	{rule: "V010", name: "environment", text: "[nodes.a]\nvmid = 200\nenvironment = 'dev'", want: `3:1 warn nodes.a.vmid: nothing says why 200 deviates (or write vmid_reason = "why")`},
	{rule: "V010", name: "reason", text: "[nodes.a]\nvmid = 3000\nvmid_reason = 'x'\n[nodes.b]\nvmid = 100"},

	{rule: "V011", name: "changed", text: "[nodes.a]\nvmid = 101", known: known{previous: "[nodes.a]\nvmid = 100"}, want: "3:1 warn nodes.a.vmid: the VM id was 100, and is 101 (a machine keeps its id for life: Proxmox, its backups and its firewall know it by that)"},
	{rule: "V011", name: "gone", text: "[nodes.a]", known: known{previous: "[nodes.a]\nvmid = 100"}, want: "2:1 warn nodes.a: its VM id was 100, and is gone (a machine keeps its id for life)"},
	{rule: "V011", name: "kept, given, new, unknown", text: "[nodes.a]\nvmid = 100\n[nodes.b]\nvmid = 101\n[nodes.c]\nvmid = 102", known: known{previous: "[nodes.a]\nvmid = 100\n[nodes.b]\n[nodes.d]\nvmid = 105"}},
	{rule: "V011", name: "no previous", text: "[nodes.a]\nvmid = 100"},

	{rule: "V012", name: "no tags", text: "[nodes.a]\nvmid = 100", want: `3:1 info nodes.a.vmid: it has a VM id and no tags (add tags = ["…"]: they say more than a number)`},
	{rule: "V012", name: "tags", text: "[nodes.a]\nvmid = 100\ntags = ['infra']\n[nodes.b]"},

	{rule: "V013", name: "metal", text: "[fleet]\nvmid = 'error'\n[nodes.a]\nvmid = 100\nkind = 'metal'", want: `5:1 hint nodes.a.vmid: kind = "metal" is not in Proxmox, as a rule (remove it, or correct the kind)`},
	{rule: "V013", name: "cloud", text: "[nodes.a]\nvmid = 100\nkind = 'cloud'", want: `3:1 hint nodes.a.vmid: kind = "cloud" is not in Proxmox, as a rule (remove it, or correct the kind)`},
	{rule: "V013", name: "none needed", text: "[nodes.a]\nkind = 'vm'\n[nodes.b]\nkind = 'metal'\n[nodes.c]\nkind = 'cloud'\n[nodes.d]\nkind = 'appliance'\nvmid = 100"},
}

// crowd is a registry with the first n ids for DNS.
func crowd(n int) string {
	var b strings.Builder
	b.WriteString("# dns\n")
	for i := range n {
		b.WriteString("[nodes.dns-0" + string(rune('1'+i)) + "]\nvmid = 10" + string(rune('0'+i)) + "\n")
	}
	return b.String()
}

func TestNext(t *testing.T) {
	const text = "schema = 1\n[fleet]\naliases = {hass = 'ha'}\n" +
		"[nodes.dns-01]\nvmid = 100\nroles = ['resolver']\n[nodes.dns-02]\nvmid = 103\nroles = ['resolver']\n" +
		"[roles.unused]\n[nodes.starr-jellyfin-01]\nvmid = 261\n[nodes.starr-old-01]\nvmid = 950\n[nodes.ha-01]\nvmid = 299\n" +
		"[nodes.a]\nvmid = 150\nroles = ['files']\n[nodes.b]\nvmid = 340\nroles = ['files']\n[nodes.c]\nvmid = 342\nroles = ['files']\n[nodes.web-09]\nenvironment = 'Staging'\n[nodes.lab-01]\nvmid = 2800\n"
	f, err := registry.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		purpose string
		want    int
		inRange string
		because string
	}{
		{"dns", 105, "dns-dhcp", `its label suits the prefix "dns"`},
		{"dns-03", 105, "dns-dhcp", `its label suits the prefix "dns"`},
		{"dns-dhcp", 105, "dns-dhcp", "you named the range"},
		{"resolver", 105, "dns-dhcp", `nodes with the prefix or role "resolver" are there`},
		{"ldap", 110, "authentication-directory-ldap-ad", `its label suits the prefix "ldap"`},
		{"hass", 280, "home-automation", `its label suits the prefix "hass"`},
		{"starr", 263, "media-services", `nodes with the prefix or role "starr" are there`},
		{"files", 344, "file-sharing", `nodes with the prefix or role "files" are there`}, // where most are
		{"documentation-wiki", 301, "documentation-wiki", "you named the range"},
		{"dev-web-03", 2000, "development-environment", `it is for the environment "dev"`},
		{"qa-web-03", 2600, "qa-environment", `it is for the environment "qa"`},
		{"prod-dns-01", 105, "dns-dhcp", `its label suits the prefix "dns"`},
		{"web-09", 2400, "staging-environment", `it is for the environment "staging"`},
		{"starr-radarr-01", 263, "media-services", `nodes with the prefix or role "starr" are there`},
		{"clones", 9000, "clones", "you named the range"},
	} {
		got, err := Next(f, defaults(), c.purpose)
		if err != nil || got.ID != c.want || got.Range.Range.ID != c.inRange || got.Because != c.because || got.Tight {
			t.Errorf("Next(%s) = %+v, %v, want %d in %s because %s", c.purpose, got, err, c.want, c.inRange, c.because)
		}
	}
	for _, c := range []struct{ purpose, want string }{
		{"prod-lab-02", `nothing says which VM ids suit "prod-lab-02" (hint: name a range of "infra-agent registry vmid list --all")`}, // V007 would refuse 2802
		{"dnss", `nothing says which VM ids suit "dnss" (hint: did you mean "dns"?)`},
		{"unused", `nothing says which VM ids suit "unused" (hint: name a range of "infra-agent registry vmid list --all")`},
		{"something", `nothing says which VM ids suit "something" (hint: name a range of "infra-agent registry vmid list --all")`},
		{"future-use-expansion", "the range future-use-expansion 900-999 (Future Use/Expansion) is reserved (hint: name another one)"},
	} {
		if got, err := Next(f, defaults(), c.purpose); err == nil || err.Error() != c.want {
			t.Errorf("Next(%s) = %+v, %v, want %s", c.purpose, got, err, c.want)
		}
	}
}

func TestNextInAFullRange(t *testing.T) {
	tables := Default()
	tables.VMID.Ranges = []Range{
		{ID: "a", Class: "production", From: 100, To: 103, Policy: allow},
		{ID: "b", Class: "production", From: 104, To: 105, Policy: allow},
	}
	tables.Naming.Prefixes = []Prefix{{ID: "x", VMID: []string{"a", "b"}}}
	for _, c := range []struct {
		name  string
		used  string
		want  int
		tight bool
	}{
		{"empty", "", 100, false},
		{"a gap in the second range", "101 103", 105, false},
		{"no gap", "101 103 105", 100, true},
		{"last", "100 101 102 103 105", 104, true},
	} {
		text := "schema = 1\n"
		for _, id := range strings.Fields(c.used) {
			text += "[nodes.n" + id + "]\nvmid = " + id + "\n"
		}
		f, err := registry.Parse("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Next(f, tables, "x"); err != nil || got.ID != c.want || got.Tight != c.tight {
			t.Errorf("%s: Next = %+v, %v, want %d, tight: %t", c.name, got, err, c.want, c.tight)
		}
	}
	f, err := registry.Parse("f", []byte("schema = 1\n[nodes.a]\nvmid=104\n[nodes.b]\nvmid=105\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `every id for b is used: b 104-105 () (hint: name another range; "infra-agent registry vmid list --all" shows all)`
	if got, err := Next(f, tables, "b"); err == nil || err.Error() != want {
		t.Errorf("Next = %+v, %v, want %s", got, err, want)
	}
}

func TestUse(t *testing.T) {
	f, err := registry.Parse("f", []byte("schema = 1\n[nodes.b]\nvmid = 109\n[nodes.a]\nvmid = 109\n[nodes.c]\nvmid = 100\n[nodes.d]\nvmid = 5000\n[nodes.e]\n"))
	if err != nil {
		t.Fatal(err)
	}
	ranges, outside := Use(f, Default().VMID)
	if diff := cmp.Diff([]int{100, 109}, ranges[0].IDs); diff != "" {
		t.Errorf("ids of %s (-want +got):\n%s", ranges[0].Range, diff)
	}
	if diff := cmp.Diff([]string{"c", "a"}, ranges[0].Nodes); diff != "" {
		t.Errorf("nodes of %s (-want +got):\n%s", ranges[0].Range, diff)
	}
	if diff := cmp.Diff(Usage{IDs: []int{5000}, Nodes: []string{"d"}}, outside); diff != "" || len(ranges) != 55 {
		t.Errorf("outside of %d ranges (-want +got):\n%s", len(ranges), diff)
	}
}
