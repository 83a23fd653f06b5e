package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// validate notes the values of s that have the right type but are not usable.
func validate(d *strict.Document, s Settings) {
	validateTags(d, s)
	validatePaths(d, s)
	validateSource(d, s.Source)
	validateTrust(d, s.Trust)
	validateManifest(d, s.Manifest, s.Trust)
	validateConfirm(d, s.Confirm)
	validatePatience(d, s)
	validateNix(d, s.Nix)
	validateNotify(d, s.Notify)
	validateMetrics(d, s.Metrics)
}

func validateMetrics(d *strict.Document, m Metrics) {
	everywhere := strings.HasPrefix(m.Listen, ":") && isHostPort("*"+m.Listen)
	if m.Listen != "" && !filepath.IsAbs(m.Listen) && !isHostPort(m.Listen) && !everywhere {
		d.Problemf("metrics.listen", `write "127.0.0.1:10119", ":10119" for all addresses, "/run/infra-agent/metrics.sock", or "" for none`,
			"%q is neither host:port nor an absolute path", m.Listen)
	}
	if m.Socket != "" && !filepath.IsAbs(m.Socket) {
		d.Problemf("metrics.socket", "", "%q is not an absolute path", m.Socket)
	}
	if m.Socket != "" && m.Socket == m.Listen {
		d.Problemf("metrics.socket", "remove it", "metrics.listen is the same")
	}
	if m.SocketGroup != "" && !filepath.IsAbs(m.Listen) && m.Socket == "" {
		d.Problemf("metrics.socket_group", `remove it, or set metrics.socket, such as "/run/infra-agent/metrics.sock"`,
			"there is no unix socket: whoever reaches the port of metrics.listen may read")
	}
	if m.Textfile != "" && (!filepath.IsAbs(m.Textfile) || filepath.Ext(m.Textfile) != ".prom") {
		d.Problemf("metrics.textfile", `write a path such as "/var/lib/node_exporter/infra-agent.prom"`, "%q is not an absolute path of a file whose name ends with .prom", m.Textfile)
	}
}

func validatePaths(d *strict.Document, s Settings) {
	for _, p := range []struct {
		key strict.Path
		got string
	}{{"state_dir", s.StateDir}, {"run_dir", s.RunDir}} {
		if !filepath.IsAbs(p.got) || p.got == "/" {
			d.Problemf(p.key, "", "%q is not an absolute path of a directory of its own", p.got)
		}
	}
	if s.Source.Subdir != "" && !filepath.IsLocal(s.Source.Subdir) {
		d.Problemf("source.subdir", "", "%q is not a path inside the repository", s.Source.Subdir)
	}
	if s.Registry.Attr == "" || strings.Trim(s.Registry.Attr, attributeCharacters) != "" {
		d.Problemf("registry.attr", "", "%q is not a path of attributes such as infraAgent.registry", s.Registry.Attr)
	}
	if s.Registry.Source == RegistryMap && s.Registry.Map.Nodes == "" {
		d.Problemf("registry.map.nodes", `write the key of the table of nodes, such as "hosts"`, "is missing, and registry.source is map")
	}
	if !filepath.IsLocal(s.Registry.File) || s.Registry.File == "." {
		d.Problemf("registry.file", "", "%q is not a path inside the flake", s.Registry.File)
	}
}

func validateSource(d *strict.Document, s Source) {
	for _, branch := range []struct {
		key  strict.Path
		name string
	}{{"source.branch", s.Branch}, {"source.testing_branch", s.TestingBranch}} {
		if short, full := strings.CutPrefix(branch.name, "refs/heads/"); full {
			d.Problemf(branch.key, fmt.Sprintf("write %q", short), "%q is the full name of a ref, and not the name of a branch", branch.name)
		}
	}
	if !isBranch(s.BranchOf("name")) {
		d.Problemf("source.branch", "", "%q is not the name of a branch", s.Branch)
	}
	switch testing := s.TestingOf("name"); {
	case testing == "":
	case !isBranch(testing):
		d.Problemf("source.testing_branch", "", "%q is not the name of a branch", s.TestingBranch)
	case testing == s.BranchOf("name"):
		d.Problemf("source.testing_branch", "give it a branch of its own", "%q is source.branch: it would only ever be tried", s.TestingBranch)
	}
	if len(s.Remotes) == 0 {
		d.Problemf("source.remotes", `add [[source.remotes]] with url = "https://…"`, "no remote to follow")
	}
	var names []string
	for i, r := range s.Remotes {
		at := strict.Path("source.remotes").Elem(i)
		if slices.Contains(names, r.Name) {
			d.Problemf(at.Child("name"), "give each remote a name of its own", "%q is used twice", r.Name)
		}
		names = append(names, r.Name)
		validateRemote(d, at, r)
	}
	validateHosts(d, s.Hosts)
}

func validateTrust(d *strict.Document, t Trust) {
	switch {
	case t.Authorizations != "":
		validateAuthorizations(d, t)
	case t.Introduction != "":
		d.Problemf("trust.introduction", "name the file in trust.authorizations, or remove this", "says where trust.authorizations begins, which is not set")
	}
	if t.Policy != reconcile.TrustNone && t.AllowedSignersFile == "" && t.OpenPGPKeyringFile == "" && t.Authorizations == "" {
		d.Problemf("trust.policy", "name trust.allowed_signers_file or trust.openpgp_keyring_file, or trust.authorizations", "nobody could sign")
	}
}

func validateAuthorizations(d *strict.Document, t Trust) {
	const key, introduction = "trust.authorizations", "trust.introduction"
	if at := t.Authorizations; !filepath.IsLocal(at) || filepath.Clean(at) != at || at == "." {
		d.Problemf(key, `write it as git does, such as "keys/allowed_signers"`, "%q is not a file inside the repository", at)
	}
	if t.Policy != reconcile.TrustAll {
		d.Problemf("trust.policy", `write "all"`, "%q does not go with %s, which lets each commit say who may sign the next one", t.Policy, key)
	}
	for _, own := range []struct {
		key  strict.Path
		file string
	}{{"trust.allowed_signers_file", t.AllowedSignersFile}, {"trust.openpgp_keyring_file", t.OpenPGPKeyringFile}} {
		if own.file != "" {
			d.Problemf(own.key, "remove it; a key that must not count is named in trust.revocation_file", "does not go with %s: one of them says who may sign", key)
		}
	}
	if t.Introduction == "" {
		d.Problemf(introduction, "write the commit that brought the file, of 40 digits: git log -1 --format=%H -- "+t.Authorizations, "is missing, and %s is set", key)
	} else if c, err := reconcile.ParseCommit(string(t.Introduction)); err != nil || len(c) != 40 {
		d.Problemf(introduction, "write all 40 digits: git rev-parse COMMIT", "%q is not the name of a commit", t.Introduction)
	}
}

// attributeCharacters need no quotes in Nix, nor any escapes in a flake reference.
const attributeCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

// isBranch holds the rules of git-check-ref-format that matter for a branch.
func isBranch(s string) bool {
	return s != "" && s != "@" && strings.Trim(s, "/") == s && s[0] != '-' &&
		!strings.Contains(s, "..") && !strings.Contains(s, "//") && !strings.Contains(s, "@{") &&
		!strings.Contains("/"+s, "/.") && !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, ".lock") &&
		!strings.ContainsAny(s, " ~^:?*[\\{}\x7f") && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' })
}

func validateConfirm(d *strict.Document, c Confirm) {
	if c.Deadline <= c.Settle+c.Window {
		d.Problemf("confirm.deadline", "raise it, or lower confirm.settle or confirm.window",
			"%s is not more than confirm.settle + confirm.window = %s", c.Deadline, c.Settle+c.Window)
	}
	if c.DeadlineMax < c.Deadline {
		d.Problemf("confirm.deadline_max", "", "%s is less than confirm.deadline = %s", c.DeadlineMax, c.Deadline)
	}
	for i, target := range c.Targets {
		u, err := url.Parse(target)
		isURL := err == nil && isWeb(target) && u.Hostname() != "" && u.User == nil
		if !isURL && !isHostPort(target) {
			d.Problemf(strict.Path("confirm.targets").Elem(i), "", "want host:port or an http or https URL without user and password")
		}
	}
	for i, glob := range c.IgnoreUnits {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			d.Problemf(strict.Path("confirm.ignore_units").Elem(i), "", "%q is not a pattern", glob)
		}
	}
}

// validatePatience notes required checks that could never be green before the deadline.
func validatePatience(d *strict.Document, s Settings) {
	confirm := reconcile.Confirm{Settle: s.Confirm.Settle, Window: s.Confirm.Window, Deadline: s.Confirm.Deadline}
	for _, c := range s.Checks {
		if least := confirm.Least(c); c.Required && least >= confirm.Deadline {
			d.Problemf(strict.Path("checks").Child(c.Name), "lower its interval or successes, or raise confirm.deadline",
				"takes %s to be green for confirm.window at best, and confirm.deadline is %s", least, confirm.Deadline)
		}
	}
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
