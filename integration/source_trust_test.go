//go:build integration

package integration

import (
	"fmt"
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

// From the commit on that asks for it every commit must be signed. What came before was judged by the settings of then,
// also where a node gets both at once.
func TestAPolicyHoldsFromItsCommitOn(t *testing.T) {
	f := newFleet(t)
	ann := must[lab.Signer](t)(f.SSHSigner("ann"))
	f.signAs(&ann)
	f.push("ann may sign", trusting("allowed_signers", ann.Allowed))
	tip := f.edit("config.toml", "[confirm]", "[trust]\npolicy = \"tip\"\nallowed_signers_file = \"/etc/infra-agent/allowed_signers\"\n\n[confirm]")
	web := f.up("web1")[0]
	must[string](t)(web.agent("suspend", "while people push"))
	f.signAs(nil)
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	f.signAs(&ann)
	commit := f.edit("config.toml", `policy = "tip"`, `policy = "all"`)
	must[string](t)(web.agent("resume"))
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	f.signAs(nil)
	f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	f.signAs(&ann)
	last := f.push("on top of it", map[string]string{"README": "more"})
	web.wait("held", held(reconcile.GateUnverified, "not signed"))

	t.Log(`the way on that the hint names, where the branch is not to be pushed again: policy = "tip" by nixos-rebuild, once, and retry`)
	system := must[string](t)(web.Build(t.Context(), tip))
	must[string](t)(web.Run(t.Context(), "nix-env", "--profile", lab.Profile, "--set", system))
	must[string](t)(web.Run(t.Context(), system+"/bin/switch-to-configuration", "switch"))
	web.wait("adopted", held(reconcile.GateDrift, "a person switched by hand"))
	must[string](t)(web.agent("retry"))
	web.wait("promoted", ended(reconcile.ResultPromoted, last))
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

// A node that missed two changes of keys follows them step by step, with its store or
// without. A mistake in the keys is mended by the next commit.
func TestKeysRotateWhileANodeIsOff(t *testing.T) {
	f, web, ann, bob := newSignedFleet(t)
	cid := must[lab.Signer](t)(f.SSHSigner("cid"))
	const file = "keys/allowed_signers"
	allow := func(message string, signers ...lab.Signer) string {
		var lines string
		for _, s := range signers {
			lines += s.Allowed
		}
		return f.push(message, map[string]string{file: lines})
	}
	introduction := allow("ann may sign", ann)
	settings := f.edit("config.toml", `allowed_signers_file = "/etc/infra-agent/allowed_signers"`, fmt.Sprintf("authorizations = %q\nintroduction = %q", file, introduction))
	web.wait("promoted", ended(reconcile.ResultPromoted, settings))

	for i, lost := range []bool{false, true} {
		t.Logf("keys change twice while the node is off; its store was lost: %v", lost)
		if lost {
			must[string](t)(web.Run(t.Context(), "sh", "-c", "rm -rf /var/lib/private/infra-agent-fetch/*"))
		}
		check(t, web.Kill())
		f.signAs(&ann)
		allow("bob may sign, too", ann, bob)
		f.signAs(&bob)
		allow("bob alone may sign", bob)
		allow("cid may sign, too", bob, cid)
		f.signAs(&cid)
		allow("cid alone may sign", cid)
		commit := f.edit("roles/web.nix", fmt.Sprintf("VERSION=%d", i+1), fmt.Sprintf("VERSION=%d", i+2))
		check(t, web.Boot(t.Context()))
		web.wait("promoted", ended(reconcile.ResultPromoted, commit))

		t.Log("a key that was dropped meanwhile")
		f.signAs(&ann)
		f.edit("roles/web.nix", "VERSION=", "VERSION=9")
		web.wait("held", held(reconcile.GateUnverified, "not allowed"))
		check(t, f.Repo().Reset(commit))
		f.signAs(&cid)
		web.wait("in sync", inSync(allow("ann alone may sign", ann)))
	}

	t.Log("nobody may sign, by mistake")
	f.signAs(&ann)
	good := web.toplevel(lab.CurrentSystem)
	allow("a slip")
	web.wait("held", held(reconcile.GateUnverified, "allows nobody"))
	web.wait("in sync", inSync(allow("ann may sign", ann)))

	t.Log("a system that looks for the keys where they are not")
	commit := f.edit("config.toml", file, "keys/signers")
	web.rolledBack(commit, good, reconcile.ReasonFollow)
	f.edit("config.toml", "keys/signers", file)
	web.wait("in sync", inSync(f.tip()))
	web.expect(good)
}
