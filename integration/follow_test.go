//go:build integration

package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
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
		{"keys that are not there", "[confirm]", "[trust]\npolicy = \"tip\"\nallowed_signers_file = \"/etc/infra-agent/keys\"\n\n[confirm]", "verify: "},
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

// What a deployment asks of the git server, where no regular poll falls into it: of a commit that leaves the agent's part
// alone a poll in place of the next regular one, over a connection of its own; with other settings those of the new ones, and
// the commit once more.
func TestWhatFollowingAsksOfTheServer(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", `interval = "5s"`, `interval = "1h"`)
	web := f.up("web1")[0]
	var asked atomic.Int64
	check(t, f.Tamper(func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			honest.ServeHTTP(w, r)
		})
	}))
	requests := func(commit string, done func(control.Status) bool) int64 {
		t.Helper()
		web.wait("done with "+commit, done)
		return asked.Swap(0)
	}
	const poll, fetch = 1, 2
	text := f.push("a comment", map[string]string{"README": "more"})
	if got := requests(text, inSync(text)); got != poll+fetch {
		t.Errorf("a commit that changes nothing: %d requests", got)
	}
	service := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	if got := requests(service, ended(reconcile.ResultPromoted, service)); got != poll+fetch+poll {
		t.Errorf("a commit that leaves the agent alone: %d requests", got)
	}
	settings := f.edit("config.toml", `window = "2s"`, `window = "3s"`)
	if got := requests(settings, ended(reconcile.ResultPromoted, settings)); got != poll+fetch+poll+poll+fetch { // as they come into force, and after the activation
		t.Errorf("other settings: %d requests", got)
	}
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

// The git server is gone for everybody for longer than a trial may wait: it goes back without a block, and is tried
// again once the server is there.
func TestAnOutageLongerThanTheDeadline(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", `deadline = "25s"`, "deadline = \"10s\"\ndeadline_max = \"20s\"")
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	commit := f.edit("config.toml", `window = "2s"`, `window = "3s"`)
	web.wait("confirming", func(s control.Status) bool { return s.State == "confirming" || s.State == "activating" })
	check(t, f.StopGit())
	s := web.rolledBack(commit, good, reconcile.ReasonFollow)
	if b, is := s.Blocked[s.History[len(s.History)-1].To]; is && !b.UntilPoll {
		t.Errorf("it is blocked: %+v", b)
	}
	check(t, f.StartGit())
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

// A firewall of the commit keeps git alone out, and the agent's part is what it was: the polls that go on anyway tell.
func TestGitAloneBlockedByAFirewall(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", `name = "lab"`, "name = \"lab\"\ntimeout = \"5s\"")
	f.edit("config.toml", `deadline = "25s"`, "deadline = \"25s\"\ndeadline_max = \"40s\"")
	web := f.up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	commit := f.push("a firewall", map[string]string{"roles/web.nix": strings.Replace(role, "{ ... }: {", `{ ... }: {
  units."lab-firewall.service" = ''
    [Service]
    Type=oneshot
    RemainAfterExit=true
    ExecStart=/bin/sh -c "ip route add blackhole `+lab.GitAddress+`/32"
    ExecStop=/bin/sh -c "ip route del blackhole `+lab.GitAddress+`/32"

    [Install]
    WantedBy=multi-user.target
  '';`, 1)})
	s := web.rolledBack(commit, good, reconcile.ReasonFollow)
	if o, _ := last(s); !strings.Contains(o.Cause.Why, "follow its branch: poll: lab: ") || !o.Cause.Outside {
		t.Errorf("rolled back for %+v", o.Cause)
	}
	fix := must[string](t)(f.Repo().Revert(commit))
	f.sync()
	web.wait("in sync", inSync(fix))
}

// A commit leaves the agent's part alone, and takes away what the next connection would need: the agent that runs still has
// one, and the authorities that it read at its start.
func TestWhatAnAgentHasKeptIsNoProof(t *testing.T) {
	t.Run("the name of the server", func(t *testing.T) {
		f := newFleet(t)
		role := must[string](t)(f.Repo().File("roles/default.nix"))
		hosts := func(lines string) map[string]string {
			return map[string]string{"roles/default.nix": strings.Replace(role, "{ node, ... }: {", "{ node, ... }: {\n  etc.\"hosts\" = \"127.0.0.1 localhost\\n"+lines+"\";", 1)}
		}
		must[string](t)(f.Repo().Commit("hosts", hosts(lab.GitAddress+" git.lab\\n")))
		f.edit("config.toml", lab.GitURL, "http://git.lab/config.git")
		f.goesBackDeaf(f.up, hosts(""), "git.lab")
	})
	t.Run("the authority of its certificate", func(t *testing.T) {
		f := newSourceFleet(t, "")
		authority := must[string](t)(f.ServeTLS())
		role := must[string](t)(f.Repo().File("roles/default.nix"))
		trusts := func(pem string) map[string]string {
			return map[string]string{"roles/default.nix": strings.Replace(role, "{ node, ... }: {", "{ node, ... }: {\n  etc.\"ssl/certs/ca-certificates.crt\" = ''\n"+pem+"'';", 1)}
		}
		must[string](t)(f.Repo().Commit("the authority", trusts(authority)))
		f.follow(lab.HTTPSURL, "")
		f.goesBackDeaf(func(...string) []*node { return []*node{f.upWith(nil)} }, trusts(expired(t)), "certificate")
	})
}

// A switch leaves the agent alone whose unit says so: what its next start would give it counts all the same, before the
// system is kept.
func TestAUnitThatNoSwitchStartsAgain(t *testing.T) {
	f := newFleet(t)
	f.edit("config.toml", `name = "lab"`, "name = \"lab\"\ntimeout = \"5s\"")
	web := f.up("web1")[0]
	unit := must[string](t)(web.Run(t.Context(), "cat", "/etc/systemd/system/infra-agent.service"))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	with := func(lines string) map[string]string {
		text := strings.Replace(unit, "[Service]\n", "[Service]\n"+lines, 1)
		return map[string]string{"roles/web.nix": strings.Replace(role, "{ ... }: {", "{ ... }: {\n  units.\"infra-agent.service\" = ''\n"+text+"\n'';", 1)}
	}
	f.push("the role has the unit", with(""))
	web.wait("in sync", inSync(f.tip()))
	good := web.toplevel(lab.CurrentSystem)
	for _, flag := range []string{"X-RestartIfChanged=false", "X-ReloadIfChanged=true"} {
		bad := f.push(flag, with(flag+"\nPrivateNetwork=true\n"))
		web.rolledBack(bad, good, reconcile.ReasonConnectivity)
	}
	fix := f.push("with another variable", with("X-RestartIfChanged=false\nEnvironment=WORD=1\n"))
	web.wait("promoted", ended(reconcile.ResultPromoted, fix))
	if got := must[string](t)(web.Run(t.Context(), "sh", "-c", "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID infra-agent)/environ")); !strings.Contains(got, "WORD=1\n") {
		t.Error("the agent that was kept runs as its unit was before")
	}
	f.push("never started again", map[string]string{"roles/web.nix": strings.ReplaceAll(with("")["roles/web.nix"], "Restart=always", "Restart=no")})
	web.wait("held", held(reconcile.GatePreflight, "nothing of the new system starts infra-agent.service again whenever it ends"))
}

// With Nix as a commit leaves it, the next commit could not be evaluated, or not be built. What was evaluated before, and what
// the new nix.conf builds without the daemon, says nothing of that.
func TestANixThatDeploysNothingGoesBack(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	daemon := must[string](t)(web.Run(t.Context(), "cat", "/usr/lib/systemd/system/nix-daemon.service"))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	with := func(what string) map[string]string {
		return map[string]string{"roles/web.nix": strings.Replace(role, "{ ... }: {", "{ ... }: {\n"+what, 1)}
	}
	unit := func(lines string) string { return "units.\"nix-daemon.service\" = ''\n" + daemon + lines + "'';\n" }
	const conf = "experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\nbuild-users-group =\n"
	nix := func(lines string) string { return "etc.\"nix/nix.conf\" = ''\n" + conf + lines + "'';\n" }
	f.push("the role has Nix's settings", with(unit("")+nix("")))
	web.wait("in sync", inSync(f.tip()))
	good := web.toplevel(lab.CurrentSystem)
	for _, c := range []struct{ name, what, why string }{
		{"a daemon without build users", unit("[Service]\nEnvironment=\"NIX_CONFIG=build-users-group = nonesuch\"\n") + nix(""), "build something with Nix as it is now"},
		{"an evaluation that may call nothing", unit("") + nix("max-call-depth = 5\n"), "max-call-depth"},
	} {
		bad := f.push(c.name, with(c.what))
		s := web.rolledBack(bad, good, reconcile.ReasonFollow)
		if o, _ := last(s); !strings.Contains(o.Cause.Why, "follow its branch: evaluate: ") || !strings.Contains(o.Cause.Why, c.why) {
			t.Errorf("%s: rolled back for %+v", c.name, o.Cause)
		}
	}
	f.push("as before", with(unit("")+nix("")))
	commit := f.push("with another variable", with(unit("")+nix("")+"etc.word = \"1\\n\";\n"))
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}

// goesBackDeaf pushes what no fetch would reach the server with; the fix that follows arrives.
func (f fleet) goesBackDeaf(up func(...string) []*node, files map[string]string, why string) {
	f.t.Helper()
	f.edit("config.toml", `deadline = "25s"`, "deadline = \"15s\"\ndeadline_max = \"30s\"")
	web := up("web1")[0]
	good := web.toplevel(lab.CurrentSystem)
	bad := f.push("deaf", files)
	s := web.rolledBack(bad, good, reconcile.ReasonFollow)
	if o, _ := last(s); !strings.Contains(o.Cause.Why, "follow its branch: poll: lab: ") || !strings.Contains(o.Cause.Why, why) {
		f.t.Errorf("rolled back for %+v", o.Cause)
	}
	fix := must[string](f.t)(f.Repo().Revert(bad))
	f.sync()
	web.wait("in sync", inSync(fix))
}

// What can be seen to keep the node from its branch is not activated.
func TestWhatWouldTakeTheNodeAwayIsHeld(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	every := must[string](t)(f.Repo().File("roles/default.nix"))
	commit := f.push("a disk", map[string]string{
		"roles/default.nix": strings.Replace(every, "{ node, ... }: {", "{ node, ... }: {\netc.\"fstab\" = \"/dev/vda / ext4 defaults 0 1\\n\";", 1),
	})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	good := web.toplevel(lab.CurrentSystem)
	with := func(what string) map[string]string {
		return map[string]string{"roles/web.nix": strings.Replace(role, "{ ... }: {", "{ ... }: {\n"+what, 1)}
	}
	for _, c := range []struct {
		name, what string
		gate       reconcile.Gate
		why        string
	}{
		{"host name", `etc."hostname" = "web9\n";`, reconcile.GateIdentity, `the new system's host name is "web9", which would not lead to "web1" in the registry`},
		{"nothing starts the agent", "units.\"infra-agent.service\" = ''\n[Service]\nExecStart=/run/current-system/sw/bin/infra-agent run\n'';", reconcile.GatePreflight, "nothing of the new system starts infra-agent.service at boot"},
		{"nothing but the rescue target starts the agent", "units.\"infra-agent.service\" = ''\n[Service]\nExecStart=/run/current-system/sw/bin/infra-agent run\n\n[Install]\nWantedBy=rescue.target\n'';", reconcile.GatePreflight, "nothing of the new system starts infra-agent.service at boot"},
		{"a Nix daemon elsewhere", "units.\"nix-daemon.socket\" = ''\n[Socket]\nListenStream=/run/nix-daemon\n'';", reconcile.GatePreflight, "nothing of the new system listens on /nix/var/nix/daemon-socket/socket"},
		{"another disk", `etc."fstab" = "/dev/disk/by-label/elsewhere / ext4 defaults 0 1\n";`, reconcile.GatePreflight, "the new system has /dev/disk/by-label/elsewhere (ext4) at /, where this one has /dev/vda (ext4)"},
		{"no Nix", "units.\"infra-agent.service\" = ''\n[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nEnvironment=\"PATH=/usr/local/sbin\"\nExecStart=/run/current-system/sw/bin/infra-agent run\n\n[Install]\nWantedBy=multi-user.target\n'';", reconcile.GatePreflight, "infra-agent.service of the new system finds no nix on its PATH"},
		{"a Nix that builds nothing", `etc."nix/nix.conf" = "max-jobs = 0\nbuilders =\n";`, reconcile.GatePreflight, "max-jobs is 0, and there are no builders"},
		{"a Nix that cannot build", `etc."nix/nix.conf" = "sandbox = false\nbuild-users-group = nonesuch\n";`, reconcile.GatePreflight, "specified in 'build-users-group' does not exist"},
		{"a slip in nix.conf", `etc."nix/nix.conf" = "max-jobs\n";`, reconcile.GatePreflight, "with its nix.conf, the new system's Nix is of no use: "},
	} {
		f.push(c.name, with(c.what))
		web.wait("held: "+c.name, held(c.gate, c.why))
		web.expect(good)
	}
	settings := must[string](t)(f.Repo().File("config.toml"))
	f.push("settings that only look on", map[string]string{"config.toml": "mode = \"observe\"\n" + settings, "roles/web.nix": role})
	web.wait("held: settings that only look on", held(reconcile.GatePreflight, `the new settings have mode = "observe"`))
	web.expect(good)
	must[string](t)(f.Repo().Commit("as before", map[string]string{"config.toml": settings}))
	// The module refuses it when it is evaluated: without it, a role writes the file.
	without := strings.Replace(settings, "[confirm]", "[trust]\npolicy = \"tip\"\nallowed_signers_file = \"/run/credentials/infra-agent.service/signers\"\n\n[confirm]", 1)
	f.push("a credential that nobody makes", with(`etc."infra-agent/config.toml" = ''`+"\n"+without+"'';"))
	web.wait("held: a credential that nobody makes", held(reconcile.GatePreflight, `infra-agent.service of the new system asks for no credential "signers"`))
	web.expect(good)
	fix := f.push("back, with other settings of Nix", map[string]string{
		"config.toml": settings, "roles/web.nix": strings.Replace(role, "{ ... }: {", "{ ... }: {\n"+`etc."nix/nix.conf" = "experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\nbuild-users-group =\nkeep-outputs = true\n";`, 1),
	})
	web.wait("in sync", inSync(fix))
}

// A node gets another name on purpose: its table has both for the time of the commit.
func TestANodeIsRenamed(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	registry := must[string](t)(f.Repo().File("infrastructure.toml"))
	commit := f.push("web1 is called web9", map[string]string{
		"infrastructure.toml": strings.Replace(registry, "[nodes.web1]", "[nodes.web1]\nhostname = \"web9\"", 1),
		"roles/web.nix": strings.Replace(role, "{ ... }: {", `{ ... }: {
  etc."hostname" = "web9\n";
  units."lab-hostname.service" = ''
    [Service]
    Type=oneshot
    RemainAfterExit=true
    ExecStart=/bin/sh -c "hostname web9"

    [Install]
    WantedBy=multi-user.target
  '';`, 1),
	})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	if got := strings.TrimSpace(must[string](t)(web.Run(t.Context(), "hostname"))); got != "web9" {
		t.Errorf("the host name is %q", got)
	}
	commit = f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
}
