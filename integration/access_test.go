//go:build integration

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A commit that takes the node's access to the repository away goes back, and the fix arrives.
func TestACommitThatLosesItsAccessGoesBack(t *testing.T) {
	f := newSourceFleet(t, secretToken)
	authority := must[string](t)(f.ServeTLS())
	ssh := must[*lab.SSH](t)(f.ServeSSH())
	const access = "token_file = \"/etc/git-token\"\nca_file = \"/etc/git-ca.pem\""
	f.follow(lab.HTTPSURL, access)
	web := f.upWith(map[string]string{
		"/etc/git-token": secretToken, "/etc/git-ca.pem": authority, "/etc/old-token": "wr0ng-lab-token", "/etc/old-ca.pem": expired(t),
		"/etc/deploy-key": ssh.Key, "/etc/no-hosts": "other.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2a0mQbF9mZqnW4rKpYv7m1m3kOq3cE6X7bJpQvXh1T\n",
	})
	good := web.toplevel(lab.CurrentSystem)
	settings := must[string](t)(f.Repo().File("config.toml"))
	for _, c := range []struct{ name, old, text, why string }{
		{"another token", "/etc/git-token", "/etc/old-token", "is the token in /etc/old-token still valid?"},
		{"an authority of long ago", "/etc/git-ca.pem", "/etc/old-ca.pem", "certificate"},
		{"a server that no known host is", fmt.Sprintf("url = %q\n%s", lab.HTTPSURL, access), fmt.Sprintf("url = %q\nssh_key_file = \"/etc/deploy-key\"\nknown_hosts_file = \"/etc/no-hosts\"", ssh.URL), "/etc/no-hosts"},
		{"a file of known hosts that nobody makes", fmt.Sprintf("url = %q\n%s", lab.HTTPSURL, access), fmt.Sprintf("url = %q\nssh_key_file = \"/etc/deploy-key\"\nknown_hosts_file = \"/etc/unmade\"", ssh.URL), "/etc/unmade"},
	} {
		bad := f.push(c.name, map[string]string{"config.toml": strings.Replace(settings, c.old, c.text, 1)})
		s := web.rolledBack(bad, good, reconcile.ReasonFollow)
		if o, _ := last(s); !strings.Contains(o.Cause.Why, "it does not follow its branch: poll: lab: ") || !strings.Contains(o.Cause.Why, c.why) {
			t.Errorf("%s: rolled back for %q, want %q", c.name, o.Cause.Why, c.why)
		}
		fix := f.push("access again", map[string]string{"config.toml": settings})
		web.wait("in sync", inSync(fix))
	}
}

// A commit that brings another token at the same place changes no setting and restarts no agent: what that one heard before
// shows nothing. Nobody can ask by the old token, so the system goes back in time, and only that revision is blocked.
func TestAnotherTokenAtTheSamePlaceGoesBack(t *testing.T) {
	f := newSourceFleet(t, secretToken)
	f.bringsToken(t, "/etc/fleet-token", "1h", nil)
}

// Of a credential the agent has a copy, which would be found wrong at the next boot alone: it begins anew for what a commit
// puts there, and once more for what was there before.
func TestAnotherTokenBehindACredentialGoesBack(t *testing.T) {
	f := newSourceFleet(t, secretToken)
	f.bringsToken(t, "/run/credentials/infra-agent.service/token", "30s", map[string]string{"credentials.toml": "token = \"/etc/fleet-token\"\n"})
}

// bringsToken has a commit bring a token that the server does not take, which the agent reads from tokenFile, and the next
// one the right one.
func (f fleet) bringsToken(t *testing.T, tokenFile, interval string, files map[string]string) {
	t.Helper()
	authority := must[string](t)(f.ServeTLS())
	role := must[string](t)(f.Repo().File("roles/default.nix"))
	with := func(token string) map[string]string {
		return map[string]string{"roles/default.nix": strings.Replace(role, "{ node, ... }: {", "{ node, ... }: {\n  etc.\"fleet-token\" = \""+token+"\";", 1)}
	}
	if files != nil {
		must[string](t)(f.Repo().Commit("credentials", files))
	}
	must[string](t)(f.Repo().Commit("the fleet's token", with(secretToken)))
	f.follow(lab.HTTPSURL, fmt.Sprintf("token_file = %q\nca_file = \"/etc/git-ca.pem\"", tokenFile))
	f.edit("config.toml", `interval = "5s"`, fmt.Sprintf("interval = %q", interval))
	web := f.upWith(map[string]string{"/etc/git-ca.pem": authority})
	good := web.toplevel(lab.CurrentSystem)
	bad := f.push("another token", with("wr0ng-lab-token"))
	s := web.rolledBack(bad, good, reconcile.ReasonFollow)
	want := fmt.Sprintf("is the token in %s still valid?); nor does it let the old settings in", tokenFile)
	if o, _ := last(s); !strings.Contains(o.Cause.Why, want) {
		t.Errorf("rolled back for %q", o.Cause.Why)
	}
	again := with(secretToken)
	again["README"] = "mended"
	fix := f.push("the token again", again)
	web.wait("in sync", inSync(fix))
}

// expired returns the certificate of an authority whose time is over.
func expired(t *testing.T) string {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab of long ago"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Keys change in two commits: the first, by the old key, allows both; the second, by the new one, takes the old one out.
// A commit that nobody could follow by its own keys goes back.
func TestKeysChangeInTwoCommits(t *testing.T) {
	f, web, ann, next := newSignedFleet(t)
	good := web.toplevel(lab.CurrentSystem)

	t.Log("next alone, in a commit of ann: its own keys do not verify it")
	deaf := f.push("next alone may sign", trusting("allowed_signers", next.Allowed))
	s := web.rolledBack(deaf, good, reconcile.ReasonFollow)
	if o, _ := last(s); !strings.Contains(o.Cause.Why, "verify: ") || !strings.Contains(o.Cause.Why, "not allowed") {
		t.Errorf("rolled back for %q", o.Cause.Why)
	}

	t.Log("both, then next alone")
	both := f.push("next may sign, too", trusting("allowed_signers", ann.Allowed+next.Allowed))
	web.wait("promoted", ended(reconcile.ResultPromoted, both))
	f.signAs(&next)
	alone := f.push("ann may not sign any more", trusting("allowed_signers", next.Allowed))
	web.wait("promoted", ended(reconcile.ResultPromoted, alone))
	f.signAs(&ann)
	f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("held", held(reconcile.GateUnverified, "not allowed"))
}
