package registry

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// The words of fields, and "" for one that is not given.
var (
	levels    = wordsOf[Fleet]("naming")
	kinds     = wordsOf[Node]("kind")
	reboots   = wordsOf[Node]("reboot")
	rollbacks = wordsOf[Node]("rollback")
)

// validate notes the values of f that have the right type but make no sense.
func validate(d *strict.Document, f *File) {
	validateSchema(d, f)
	validateHint(d, "fleet.naming", f.Fleet.Naming, levels)
	validateHost(d, "fleet.domain", f.Fleet.Domain)
	validateHint(d, "fleet.vmid", f.Fleet.VMID, levels)
	validateBranch(d, "fleet.branch", f.Fleet.Branch)
	if f.Fleet.Subdir != "" && !filepath.IsLocal(f.Fleet.Subdir) {
		d.Problemf("fleet.subdir", "", "%q is not a path inside the repository", f.Fleet.Subdir)
	}
	for name, r := range f.Roles {
		at := strict.Path("roles").Child(name)
		validateNames(d, at, name)
		validateNames(d, at.Child("implies"), r.Implies...)
		validateNames(d, at.Child("conflicts"), r.Conflicts...)
		validateWord(d, at.Child("rollback"), string(r.Rollback), rollbacks)
		validateHint(d, at.Child("reboot"), r.Reboot, reboots)
		validateChecks(d, at, r.Checks)
		validateCommand(d, at.Child("drain"), r.Drain)
		validateCommand(d, at.Child("undrain"), r.Undrain)
		for i, secret := range r.Secrets {
			validateSecret(d, at.Child("secrets").Elem(i), secret)
		}
		if r.MaxUnavailable < 0 {
			d.Problemf(at.Child("max_unavailable"), "", "%d is negative", r.MaxUnavailable)
		}
	}
	for name, n := range f.Nodes {
		validateNode(d, strict.Path("nodes").Child(name), name, n)
	}
}

func validateSchema(d *strict.Document, f *File) {
	switch {
	case f.MinReader < 0 || f.MinReader > f.Schema:
		d.Problemf("min_reader", "it is the oldest schema whose agents may read the file", "%d is not between 1 and schema = %d", f.MinReader, f.Schema)
	case f.Schema == latest:
	case f.readable():
		d.Unknownf("schema", "", nil, "use a newer infra-agent", "this version reads schema %d, and what it knows of %d", latest, f.Schema)
	case f.Schema > latest:
		d.Problemf("schema", fmt.Sprintf("deploy a newer infra-agent first, by a commit whose registry has schema = %d or min_reader = %d", latest, latest),
			"this version reads schema %d, not %d", latest, f.Schema)
	default:
		d.Problemf("schema", `write schema = 1; if this file is not meant for infra-agent, set registry.source = "none" in its settings`,
			"this version reads schema %d, not %d", latest, f.Schema)
	}
}

func validateNode(d *strict.Document, at strict.Path, name string, n Node) {
	validateNames(d, at, name)
	validateNames(d, at.Child("aliases"), n.Aliases...)
	validateNames(d, at.Child("roles"), n.Roles...)
	validateNames(d, at.Child("depends_on"), n.DependsOn...)
	for _, given := range []struct{ key, name string }{{"hostname", n.Hostname}, {"configuration", n.Configuration}} {
		if given.name != "" {
			validateNames(d, at.Child(given.key), given.name)
		}
	}
	validateHint(d, at.Child("kind"), n.Kind, kinds)
	validateWord(d, at.Child("rollback"), string(n.Rollback), rollbacks)
	validateHint(d, at.Child("reboot"), n.Reboot, reboots)
	validateChecks(d, at, n.Checks)
	if n.System != "" && !isSystem(n.System) {
		d.Problemf(at.Child("system"), "", "%q is not a system such as x86_64-linux", n.System)
	}
	validateAddress(d, at.Child("address"), n.Address)
	validateBranch(d, at.Child("branch"), n.Branch)
	if n.Pin != "" && (len(n.Pin) < 7 || len(n.Pin) > 40 || strings.Trim(n.Pin, "0123456789abcdef") != "") {
		d.Problemf(at.Child("pin"), "write 7 to 40 digits of it", "%q is not a commit", n.Pin)
	}
	if n.Reason != "" && !n.Hold && n.Pin == "" {
		d.Problemf(at.Child("reason"), "add hold = true or pin, or remove it", "is a reason for nothing")
	}
	if n.Naming.Exempt && n.Naming.Reason == "" {
		d.Problemf(at.Child("naming"), `add reason = "…"`, "an exemption needs a reason")
	}
	if p := n.Proxy; p != nil && (p.Port < 0 || p.Port > 65535) {
		d.Problemf(at.Child("proxy").Child("port"), "", "%d is not a port", p.Port)
	}
}

func validateBranch(d *strict.Document, at strict.Path, branch string) {
	if strings.ContainsAny(strings.Replace(branch, "{name}", "", 1), " ~^:?*[\\{}\t\n") || strings.Contains(branch, "..") || strings.HasPrefix(branch, "-") {
		d.Problemf(at, "", "%q is not the name of a branch", branch)
	}
}

// validateCommand refuses what could mean another program than was meant: the agent
// runs it as root.
func validateCommand(d *strict.Document, at strict.Path, argv []string) {
	if argv != nil && (len(argv) == 0 || !filepath.IsAbs(argv[0])) {
		d.Problemf(at, `write ["/run/current-system/sw/bin/program", "argument"]`, "does not begin with the absolute path of a program")
	}
}

func validateSecret(d *strict.Document, at strict.Path, s Secret) {
	if !filepath.IsAbs(s.Path) {
		d.Problemf(at, "", "%q is not an absolute path", s.Path)
	}
	if _, err := strconv.ParseUint(s.Mode, 8, 9); s.Mode != "" && (err != nil || len(s.Mode) != 4) {
		d.Problemf(at.Child("mode"), `write it like "0440"`, "%q is not a mode", s.Mode)
	}
}

// validateNames refuses names that could mean something else to Nix, to DNS or in a
// terminal.
func validateNames(d *strict.Document, at strict.Path, names ...string) {
	for _, name := range names {
		if name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
			d.Problemf(at, "use letters, digits and . _ -", "%q is not a name", name)
		}
	}
}

// validateHost refuses what would end, or change, the host in a check's target.
func validateHost(d *strict.Document, at strict.Path, host string) {
	if strings.ContainsAny(host, " /@[]{}?#\t\r\n") {
		d.Problemf(at, "", "%q is not an address or host name", host)
	}
}

// validateAddress refuses what is neither an IP address nor a host name. A name whose
// last label is a number is none: it was to be an address.
func validateAddress(d *strict.Document, at strict.Path, address string) {
	validateHost(d, at, address)
	if _, err := netip.ParseAddr(address); err == nil || address == "" {
		return
	}
	last := address[strings.LastIndexByte(address, '.')+1:]
	if strings.Contains(address, ":") || strings.Trim(last, "0123456789") == "" {
		d.Problemf(at, "write an address such as 10.0.0.3, without a port, or a host name", "%q is not an address or host name", address)
	}
}

// validateHint validates a word that decides nothing about a deployment, so that a node may
// pass over one that only a newer version knows.
func validateHint(d *strict.Document, at strict.Path, got string, allowed []string) {
	if !slices.Contains(allowed, got) {
		d.Unknownf(at, got, allowed, "", "%q is none of %s", got, strings.Join(allowed[1:], ", "))
	}
}

func validateWord(d *strict.Document, at strict.Path, got string, allowed []string) {
	if !slices.Contains(allowed, got) {
		d.Problemf(at, "", "%q is none of %s", got, strings.Join(allowed[1:], ", "))
	}
}

// validateChecks validates checks as they are with every placeholder filled in.
func validateChecks(d *strict.Document, at strict.Path, all Checks) {
	for name, c := range all {
		if c == nil {
			continue
		}
		at := at.Child("checks").Child(name)
		validateNames(d, at, name)
		filled, left := placeholders{"address": "192.0.2.1", "node": "n", "domain": "d"}.fill(*c)
		if left != "" {
			d.Problemf(at, "known are {address}, {domain}, {node}", "%s stands for nothing", left)
		}
		d.Validate(at, filled)
	}
}

func isSystem(s string) bool {
	cpu, kernel, ok := strings.Cut(s, "-")
	return ok && cpu != "" && strings.Trim(cpu, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" &&
		(kernel == "linux" || kernel == "darwin")
}

// problemsOf is one line about a check that this node's values made unusable.
func problemsOf(c reconcile.Check) string {
	var said []string
	for _, p := range c.Problems() {
		said = append(said, fmt.Sprintf("%s: %s", p.Key, p.Text))
	}
	return strings.Join(said, "; ")
}
