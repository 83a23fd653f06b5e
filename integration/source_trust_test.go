//go:build integration

package integration

import (
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// trusting is the fleet's role for all, with a file of keys.
func trusting(file, keys string) map[string]string {
	return map[string]string{"roles/default.nix": "{ node, ... }: {\n  etc.motd = \"node ${node.name}\\n\";\n  etc.\"infra-agent/" + file + "\" = ''\n" + keys + "'';\n}\n"}
}

func (f fleet) signAs(s *lab.Signer) {
	f.t.Helper()
	check(f.t, f.Repo().SignAs(s))
}

// newSignedFleet is a fleet that deploys what ann has signed, every commit of it; next has a key, too.
func newSignedFleet(t *testing.T) (f fleet, web *node, ann, next lab.Signer) {
	t.Helper()
	f = newFleet(t)
	ann, next = must[lab.Signer](t)(f.SSHSigner("ann")), must[lab.Signer](t)(f.SSHSigner("next"))
	f.signAs(&ann)
	f.push("ann may sign", trusting("allowed_signers", ann.Allowed))
	f.edit("config.toml", "[confirm]", "[trust]\npolicy = \"all\"\nallowed_signers_file = \"/etc/infra-agent/allowed_signers\"\n\n[confirm]")
	return f, f.up("web1")[0], ann, next
}

func TestOnlySignedCommitsAreDeployed(t *testing.T) {
	f, web, ann, next := newSignedFleet(t)
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	good := string(s.Good.Toplevel)

	t.Log("a commit that is not signed, and one that is signed on top of it")
	f.signAs(nil)
	unsigned := f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	web.wait("held", held(reconcile.GateUnverified, "not signed"))
	f.signAs(&ann)
	f.edit("roles/web.nix", "VERSION=3", "VERSION=4")
	web.wait("held", held(reconcile.GateUnverified, "commit "+reconcile.Commit(unsigned).Short()))
	check(t, f.Repo().Reset(commit))
	f.sync()
	web.wait("in sync at the signed commit", inSync(commit))

	t.Log("an unsigned commit in a signed merge")
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	must[string](t)(f.Repo().Merge("A side branch", map[string]string{"roles/web.nix": role + "# changed\n"}))
	f.sync()
	web.wait("held", held(reconcile.GateUnverified, "not signed"))
	check(t, f.Repo().Reset(commit))

	t.Log("the next key cannot bring itself in")
	f.signAs(&next)
	f.push("next may sign", trusting("allowed_signers", next.Allowed))
	web.wait("held", held(reconcile.GateUnverified, "not allowed"))
	web.expect(good)
}

func TestOpenPGPSignedTip(t *testing.T) {
	f := newFleet(t)
	ann, eve := must[lab.Signer](t)(f.PGPSigner("ann")), must[lab.Signer](t)(f.PGPSigner("eve"))
	f.signAs(&ann)
	f.push("ann may sign", trusting("keyring.asc", ann.Allowed))
	f.edit("config.toml", "[confirm]", "[trust]\npolicy = \"tip\"\nopenpgp_keyring_file = \"/etc/infra-agent/keyring.asc\"\n\n[confirm]")
	web := f.up("web1")[0]
	f.signAs(&eve)
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held", held(reconcile.GateUnverified, "not in the OpenPGP keyring"))
	f.signAs(&ann)
	commit := f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if got := s.Good.Revision; got != reconcile.Commit(commit) {
		t.Errorf("good revision is %v, want %s", got, commit)
	}
}
