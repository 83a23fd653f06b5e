//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A commit that takes the node away from its branch goes back for the right reason, and
// the fix that follows arrives by itself.
func TestACommitThatTakesTheNodeAwayGoesBack(t *testing.T) {
	for _, c := range []struct{ name, old, text, why string }{
		{"wrong URL", `/config.git"`, `/confg.git"`, "poll: "},
		{"wrong branch", "[source]", "[source]\nbranch = \"mian\"", "poll: lab: "},
		{"wrong subdir", "[source]", "[source]\nsubdir = \"nixos\"", "registry: "},
		{"registry.file misspelled", "[confirm]", "[registry]\nsource = \"toml\"\nfile = \"infrastructur.toml\"\n\n[confirm]", "registry: "},
		{"a name that the registry lost", "[source]", "node = \"web9\"\n\n[source]", "registry: "},
		{"keys that are not there", "[confirm]", "[trust]\npolicy = \"tip\"\nallowed_signers_file = \"/etc/infra-agent/keys\"\n\n[confirm]", "fetch: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			web := f.up("web1")[0]
			good := web.toplevel(lab.CurrentSystem)
			settings := must[string](t)(f.Repo().File("config.toml"))
			changed := strings.Replace(settings, c.old, c.text, 1)
			if strings.HasPrefix(c.text, "node = ") { // a key of no table comes first
				changed = "node = \"web9\"\n\n" + settings
			}
			bad := f.push(c.name, map[string]string{"config.toml": changed})
			s := web.rolledBack(bad, good, reconcile.ReasonFollow)
			if o, _ := last(s); !strings.Contains(o.Cause.Why, "it does not follow its branch: "+c.why) {
				t.Errorf("rolled back for %q, want %q", o.Cause.Why, c.why)
			}
			fix := must[string](t)(f.Repo().Revert(bad))
			f.sync()
			web.wait("in sync", inSync(fix))
		})
	}
}

// Other settings that work are shown, and kept.
func TestOtherSettingsAreShownToFollow(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	commit := f.edit("config.toml", `interval = "5s"`, `interval = "6s"`)
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	journal := must[string](t)(web.Run(t.Context(), "journalctl", "--no-pager", "-u", "infra-agent"))
	if !strings.Contains(journal, "it follows its branch") {
		t.Errorf("the journal does not say what was shown:\n%s", journal)
	}
	web.expect(string(s.Good.Toplevel))
}

// The git server is gone for everybody while other settings are judged: nobody rolls back.
func TestAnOutageWhileOtherSettingsAreJudged(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	commit := f.edit("config.toml", `window = "2s"`, `window = "3s"`)
	web.wait("confirming", func(s control.Status) bool { return s.State == "confirming" || s.State == "activating" })
	check(t, f.StopGit())
	web.wait("waiting for a remote", func(s control.Status) bool {
		res, shown := s.Checks["follow: poll"]
		return s.State == "confirming" && shown && !res.OK
	})
	check(t, f.StartGit())
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}
