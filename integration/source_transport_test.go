//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// secretToken is what the lab's HTTPS server asks for in these tests.
const secretToken = "s3cret-lab-token"

func newSourceFleet(t *testing.T, token string) fleet {
	t.Helper()
	t.Parallel()
	agent := must[string](t)(builtAgent())
	return fleet{newLab(t, lab.Options{Agents: map[string]string{agentVersion: agent}, GitToken: token}), t, new([]*node)}
}

// follow writes the fleet's one remote, and takes the plain HTTP server away.
func (f fleet) follow(url, settings string) {
	f.t.Helper()
	f.edit("config.toml", fmt.Sprintf("url = %q", lab.GitURL), fmt.Sprintf("url = %q\n%s", url, settings))
	check(f.t, f.StopGit())
}

// upWith boots web1 with files of its own.
func (f fleet) upWith(files map[string]string) *node {
	f.t.Helper()
	raw := must[*lab.Node](f.t)(f.Node("web1", addresses["web1"]))
	for path, text := range files {
		check(f.t, raw.Write(path, text, 0o600))
	}
	tip := f.tip()
	check(f.t, f.Up(f.t.Context(), tip, raw))
	web := &node{raw, f.t}
	web.sync()
	web.wait("in sync at the first commit", inSync(tip))
	*f.nodes = append(*f.nodes, web)
	return web
}

// keepsQuiet looks for secrets wherever the agent could have put them.
func (n *node) keepsQuiet(secrets ...string) {
	n.t.Helper()
	if _, err := n.Run(n.t.Context(), "grep", "--text", "--quiet", "infra-agent.run", "/run/lab-commands"); err != nil {
		n.t.Errorf("the agent's command line was not seen: %v", err)
	}
	for name, command := range map[string]string{
		"the journal":       "journalctl --no-pager --all",
		"the state":         "grep --text -r '' /var/lib/infra-agent /var/lib/private/infra-agent-fetch || true", // a file may go while grep reads
		"the status":        agentProgram + " status --json; " + agentProgram + " status; " + agentProgram + " plan",
		"a command line":    "cat /run/lab-commands",
		"the unit":          "systemctl show infra-agent",
		"a file of the run": "ls -R /run/infra-agent; grep -r '' /run/infra-agent || true",
	} {
		out := must[string](n.t)(n.Run(n.t.Context(), "sh", "-c", command))
		if out == "" {
			n.t.Errorf("%s: nothing to look at", name)
		}
		for _, secret := range secrets {
			if strings.Contains(out, secret) {
				n.t.Errorf("%s is in %s", secret, name)
			}
		}
	}
}

// watchCommands writes down the command line and environment of every process of the
// agent's, as other users could see them, until the node is off.
func (n *node) watchCommands() {
	n.t.Helper()
	must[string](n.t)(n.Run(n.t.Context(), "systemd-run", "--quiet", "--unit=lab-watch", "sh", "-c",
		"while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep --text infra-agent >>/run/lab-commands; sleep 0.02; done"))
}

func TestHTTPSWithAPrivateAuthorityAndAToken(t *testing.T) {
	f := newSourceFleet(t, secretToken)
	authority := must[string](t)(f.ServeTLS())
	f.follow(lab.HTTPSURL, "token_file = \"/etc/git-token\"\nca_file = \"/etc/git-ca.pem\"")
	web := f.upWith(map[string]string{"/etc/git-token": secretToken + "\n", "/etc/git-ca.pem": authority})
	web.watchCommands()
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))

	t.Log("the token is taken back, then the authority")
	check(t, web.Write("/etc/git-token", "wr0ng-lab-token\n", 0o600))
	web.sync()
	web.wait("held without access", held(reconcile.GateSource, "hint: is the token in /etc/git-token still valid?"))
	check(t, web.Write("/etc/git-token", secretToken+"\n", 0o600))
	web.sync()
	web.wait("in sync again", inSync(commit))
	must[string](t)(web.Run(t.Context(), "cp", "/etc/ssl/certs/ca-certificates.crt", "/etc/git-ca.pem"))
	must[string](t)(web.Run(t.Context(), "systemctl", "restart", "infra-agent"))
	web.sync()
	web.wait("held without trust", held(reconcile.GateSource, "certificate"))
	web.expect(string(s.Good.Toplevel))
	web.keepsQuiet(secretToken, "wr0ng-lab-token")
}

func TestSSHWithKnownHosts(t *testing.T) {
	f := newSourceFleet(t, "")
	ssh := must[*lab.SSH](t)(f.ServeSSH())
	f.follow(ssh.URL, "ssh_key_file = \"/etc/deploy-key\"\nknown_hosts_file = \"/etc/known-hosts\"")
	web := f.upWith(map[string]string{"/etc/deploy-key": ssh.Key, "/etc/known-hosts": ssh.KnownHosts})
	web.watchCommands()
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, commit))

	t.Log("another server answers: the node stays where it is, and says why")
	check(t, ssh.ChangeHostKey())
	f.edit("roles/web.nix", "VERSION=2", "VERSION=3")
	web.wait("held", held(reconcile.GateSource, "the key was changed, or this is another server"))
	web.expect(string(s.Good.Toplevel))

	t.Log("once the operator knows the new key it goes on")
	check(t, web.Write("/etc/known-hosts", ssh.KnownHosts, 0o600))
	web.sync()
	web.wait("promoted", ended(reconcile.ResultPromoted, f.tip()))
	check(t, web.Write("/etc/deploy-key", ssh.Key, 0o644))
	web.sync()
	web.wait("held", held(reconcile.GateSource, "ssh_key_file /etc/deploy-key can be read by others"))
	secret := strings.Split(ssh.Key, "\n")[1]
	web.keepsQuiet(secret, secret[:40])
}

// What the module calls a credential reaches the fetch, whose unit can read no file
// of the machine.
func TestCredentialsOfTheModule(t *testing.T) {
	f := newSourceFleet(t, secretToken)
	authority := must[string](t)(f.ServeTLS())
	ssh := must[*lab.SSH](t)(f.ServeSSH())
	const credentials = "/run/credentials/infra-agent.service/"
	overHTTPS := fmt.Sprintf("url = %q\ntoken_file = \"%stoken\"\nca_file = \"/etc/git-ca.pem\"", lab.HTTPSURL, credentials)
	overSSH := fmt.Sprintf("url = %q\nssh_key_file = \"%skey\"\nknown_hosts_file = \"/etc/known-hosts\"", ssh.URL, credentials)
	f.push("credentials", map[string]string{"credentials.toml": "token = \"/etc/git-token\"\nkey = \"/etc/deploy-key\"\n"})
	f.edit("config.toml", fmt.Sprintf("url = %q", lab.GitURL), overHTTPS)
	check(t, f.StopGit())
	web := f.upWith(map[string]string{
		"/etc/git-token": secretToken, "/etc/git-ca.pem": authority, "/etc/deploy-key": ssh.Key, "/etc/known-hosts": ssh.KnownHosts,
	})
	web.watchCommands()
	t.Log("the commit that changes to ssh comes with the token, the next one with the key")
	commit := f.edit("config.toml", overHTTPS, overSSH)
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	commit = f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	secret := strings.Split(ssh.Key, "\n")[1]
	web.keepsQuiet(secretToken, secret, secret[:40])
}

// A credential that is missing when the agent starts does not keep it from starting:
// it says what it lacks.
func TestMissingCredential(t *testing.T) {
	f := newSourceFleet(t, secretToken)
	authority := must[string](t)(f.ServeTLS())
	const token = "/run/credentials/infra-agent.service/token"
	f.push("credentials", map[string]string{"credentials.toml": "token = \"/etc/git-token\"\n"})
	f.edit("config.toml", fmt.Sprintf("url = %q", lab.GitURL), fmt.Sprintf("url = %q\ntoken_file = %q\nca_file = \"/etc/git-ca.pem\"", lab.HTTPSURL, token))
	check(t, f.StopGit())
	web := f.upWith(map[string]string{"/etc/git-token": secretToken, "/etc/git-ca.pem": authority})
	must[string](t)(web.Run(t.Context(), "rm", "/etc/git-token"))
	must[string](t)(web.Run(t.Context(), "systemctl", "restart", "infra-agent"))
	web.wait("held", held(reconcile.GateSource, "token_file "+token+" is empty: what it is a copy of was not there when the agent started"))
	check(t, web.Write("/etc/git-token", secretToken, 0o600))
	must[string](t)(web.Run(t.Context(), "systemctl", "restart", "infra-agent"))
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

func TestGitDaemon(t *testing.T) {
	f := newSourceFleet(t, "")
	check(t, f.ServeDaemon())
	f.follow(lab.DaemonURL, "")
	web := f.upWith(nil)
	commit := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	check(t, f.Repo().DeleteBranch())
	web.sync()
	web.wait("held without a branch", held(reconcile.GateSource, "branch not found"))
}

// A server that hangs keeps its own remote alone busy, for as long as it may.
func TestHungServersDelayNobody(t *testing.T) {
	f := newSourceFleet(t, "")
	hung := must[string](t)(f.ServeSilence())
	ssh := must[*lab.SSH](t)(f.ServeSSH()) // for its key
	f.edit("config.toml", "[[source.remotes]]", fmt.Sprintf(`[[source.remotes]]
name = "daemon"
url = %q
timeout = "10m"

[[source.remotes]]
name = "ssh"
url = %q
ssh_key_file = "/etc/deploy-key"
known_hosts_file = "/etc/known-hosts"
timeout = "10m"

[[source.remotes]]`, hung, strings.Replace(hung, "git://", "ssh://git@", 1)))
	web := f.upWith(map[string]string{"/etc/deploy-key": ssh.Key, "/etc/known-hosts": strings.Replace(ssh.KnownHosts, lab.GitAddress, "["+lab.GitAddress+"]:9", 1)})
	for i := range 3 {
		commit := f.edit("roles/web.nix", fmt.Sprintf("VERSION=%d", i+1), fmt.Sprintf("VERSION=%d", i+2))
		web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	}
	hanging := must[string](t)(web.Run(t.Context(), "systemctl", "list-units", "--plain", "--no-legend", "--state=running", "infra-agent-fetch-*"))
	if n := strings.Count(hanging, "\n"); n != 2 {
		t.Errorf("%d remotes are being asked, want the two that hang:\n%s", n, hanging)
	}
}
