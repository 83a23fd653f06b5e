package nix

import (
	"strings"
	"testing"
)

// Versions by hand, from the CVE records.
func TestAdvisories(t *testing.T) {
	const repair, archive, link = "CVE-2026-110450", "CVE-2026-44028", "CVE-2026-39860"
	for _, c := range []struct{ said, want, fixed string }{
		{"nix (Nix) 2.18.9", repair, "2.28.8"},
		{"nix (Nix) 2.21.0", repair + " " + link, "2.28.8"},
		{"nix (Nix) 2.26.3", repair + " " + archive + " " + link, "2.28.8"},
		{"nix (Nix) 2.28.6", repair + " " + archive, "2.28.8"},
		{"nix (Nix) 2.28.7", repair, "2.28.8"},
		{"nix (Nix) 2.28.8", "", ""},
		{"nix (Nix) 2.29.4", repair, "2.30.6"},
		{"nix (Nix) 2.33.6", repair, "2.34.9"},
		{"nix (Nix) 2.34.9", "", ""},
		{"nix (Nix) 2.35.2", repair, "2.35.3"},
		{"nix (Nix) 2.35.3", "", ""},
		{"nix (Nix) 2.36.0", "", ""},
		{"nix (Nix) 2.31pre20250712_b1245123", repair + " " + archive + " " + link, "2.31.6"},
		{"nix (Determinate Nix 3.8.0) 2.30.1", repair + " " + archive + " " + link, "2.30.6"},
		{"nix (Lix, like Nix) 2.93.0", "", ""},
	} {
		v := parseVersion(c.said + "\n")
		var got []string
		for _, a := range v.Advisories() {
			got = append(got, a.ID)
		}
		if text := strings.Join(got, " "); text != c.want || v.Text != c.said {
			t.Errorf("%s: advisories %q, want %q", c.said, text, c.want)
		}
		if c.fixed != "" && v.Advisories()[0].Fixed(v) != c.fixed {
			t.Errorf("%s: %s is fixed in %s, want %s", c.said, got[0], v.Advisories()[0].Fixed(v), c.fixed)
		}
	}
}

func TestTooOld(t *testing.T) {
	for said, want := range map[string]bool{
		"nix (Nix) 2.17.1": true, "nix (Nix) 2.18.0": false, "nix (Nix) 3.0": false, "nix (Lix, like Nix) 2.9.0": false, "what": false,
	} {
		if got := parseVersion(said).TooOld(); got != want {
			t.Errorf("%s is too old: %t, want %t", said, got, want)
		}
	}
}
