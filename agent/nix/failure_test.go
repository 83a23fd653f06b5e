package nix

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/infra-agent/infra-agent/reconcile"
)

// What diagnose makes of Nix's texts and of the flake's files.
func TestDiagnoses(t *testing.T) {
	files := fixtures(t, "diagnose.txtar")
	for _, tt := range []struct {
		name   string
		gate   reconcile.Gate
		inputs string // of flake.nix
		want   string
	}{
		{"stale", reconcile.GateEvaluate, "attic", `flake.lock is stale: it lacks input attic, it has input old, which flake.nix does not (hint: run "nix flake lock" and commit flake.lock)`},
		{"moved", reconcile.GateEvaluate, "nixpkgs", `flake.lock is stale: input nixpkgs has another URL in flake.nix (hint: run "nix flake lock" and commit flake.lock)`},
		{"oldlock", reconcile.GateEvaluate, "p", "this node's Nix is too old for flake.lock, which is of version 9 (hint: upgrade Nix on this node, or lock with the older one)"},
		{"file", reconcile.GateEvaluate, "p", "input p is file:///home/me/secrets, a repository on the machine that locked it (hint: give it a URL that every node can reach, and lock again)"},
		{"ssh", "", "p", "input p cannot be reached: ssh://git@127.0.0.1:1/x.git (hint: nix.ssh_key_file, or nix.ssh_config_file for several keys, and nix.known_hosts_file of the settings give access, or root's own key and /etc/ssh/ssh_known_hosts)"},
		{"path", reconcile.GateEvaluate, "p", "input p is the directory /home/me/x of the machine that locked it (hint: give it a URL that every node can reach, and lock again)"},
		{"path", reconcile.GateEvaluate, "q", `flake.lock is stale: it lacks input q, it has input p, which flake.nix does not (hint: run "nix flake lock" and commit flake.lock)`},
		{"crypt", reconcile.GateEvaluate, "p", "a file that Nix reads is locked by git-crypt (hint: the agent does not decrypt: move what Nix evaluates out of git-crypt, and decrypt secrets on the node (sops-nix, agenix))"},
		{"cryptread", reconcile.GateEvaluate, "p", "a file that Nix reads is locked by git-crypt (hint: the agent does not decrypt: move what Nix evaluates out of git-crypt, and decrypt secrets on the node (sops-nix, agenix))"},
		{"github", reconcile.GateEvaluate, "p", "input of the flake cannot be downloaded: https://api.github.com/repos/me/private/tarball/0123: HTTP error 404 (hint: a private one needs nix.access_tokens_file or nix.netrc_file in the settings, or the same in this node's nix.conf; for one that is gone, lock another revision)"},
		{"gone", reconcile.GateEvaluate, "p", "input p cannot be downloaded: http://127.0.0.1:8765/gone.tar.gz: HTTP error 404 (hint: a private one needs nix.access_tokens_file or nix.netrc_file in the settings, or the same in this node's nix.conf; for one that is gone, lock another revision)"},
		{"closed", "", "p", "input p cannot be downloaded: https://127.0.0.1:9/nixpkgs.tar.gz: Could not connect to server (7) Failed to connect to 127.0.0.1 port 9 after 0 ms: Could not connect to server (hint: it is tried again; this node must reach that host, directly or by a proxy)"},
		{"forge", "", "p", "input p cannot be downloaded: https://github.com/me/private/archive/0123456789012345678901234567890123456789.tar.gz: Could not resolve hostname (6) Could not resolve host: github.com (hint: it is tried again; this node must reach that host, directly or by a proxy)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			files["cryptread/secret.json"] = "\x00GITCRYPT\x00abc"
			for _, file := range []string{"stderr", "flake.lock", "secret.json"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(files[tt.name+"/"+file]), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			programs(t, map[string]string{"nix": `case "$*" in *parseFlakeRef*) echo '{"nixpkgs":{"owner":"NixOS","ref":"nixos-unstable","repo":"nixpkgs","type":"github"}}';; *" --file "*) echo '["'` + tt.inputs + `'"]';; *) cat ` + dir + `/stderr >&2; exit 1;; esac`})
			rev := revision
			rev.Tree = dir
			_, _, err := new(Nix).Evaluate(t.Context(), rev, "web")
			if want := `evaluate nixosConfigurations."web": ` + tt.want; err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
			if gate, _ := reconcile.RejectedBy(err); gate != tt.gate {
				t.Errorf("gate %q, want %q", gate, tt.gate)
			}
		})
	}
}

// A download that was tried again and came is not why an evaluation failed.
func TestUndownloaded(t *testing.T) {
	const retried = "warning: error: unable to download 'https://x/a': HTTP error 403; retrying in 300 ms\n"
	if place, why, found := undownloaded(retried + "error: undefined variable 'x'"); found {
		t.Errorf("found %s: %s", place, why)
	}
	place, why, found := undownloaded(retried + "error: unable to download 'https://x/a': HTTP error 404")
	if place != "https://x/a" || why != "HTTP error 404" || !found {
		t.Errorf("got %q, %q, %v", place, why, found)
	}
}

// fixtures returns the files of an archive in testdata; its comment says how
// they were made.
func fixtures(t testing.TB, name string) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

// What an evaluation's failure means, and what of it people are told.
func TestFailedEvaluations(t *testing.T) {
	said := fixtures(t, "evaluation.txtar")
	tests := []struct {
		name     string
		rejected bool // the revision is to blame
		want     string
	}{
		{"throw", true, "option `services.nginx.virtualHost' does not exist"},
		{"assertion", true, "Failed assertions:\n- The ‘fileSystems’ option does not specify your root file system.\n- You must set the option ‘boot.loader.grub.devices’."},
		{"syntax", true, "syntax error, unexpected ';', expecting INHERIT\nat /nix/store/in3b0bj6dc25lhzlxhifhccyw3qs8vb9-source/flake.nix:1:49:\n" +
			"1| { outputs = { self }: { nixosConfigurations = { ; }; }\n|                                                 ^\n2|"},
		{"stale-lock", true, `flake.lock is stale: an input of flake.nix has another URL, or follows another input (hint: run "nix flake lock" and commit flake.lock)`},
		{"no-attribute", true, "the flake does not have this output (hint: did you mean web? Add the configuration to the flake, or correct the node in the registry)"},
		{"no-flake", true, "there is no flake.nix in the repository's root (hint: set source.subdir to the flake's directory)"},
		{"no-configurations", true, "the flake does not have this output (hint: add the configuration to the flake, or correct the node in the registry)"},
		{"unreachable", false, "Failed to open archive (Source threw exception: error: unable to download 'https://127.0.0.1:9/nixpkgs.tar.gz': " +
			"Could not connect to server (7) Failed to connect to 127.0.0.1 port 9 after 0 ms: Could not connect to server)"},
		{"daemon", false, "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': No such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, is := said[tt.name]
			if !is {
				t.Fatal("no such fixture")
			}
			file := filepath.Join(t.TempDir(), "stderr")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			programs(t, map[string]string{"nix": "cat " + file + " >&2; exit 1"})
			_, _, err := new(Nix).Evaluate(t.Context(), revision, "web")
			if want := `evaluate nixosConfigurations."web": ` + tt.want; err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
			if gate, rejected := reconcile.RejectedBy(err); rejected != tt.rejected || rejected && gate != reconcile.GateEvaluate && !strings.Contains(tt.want, "output") {
				t.Errorf("rejected is %v (%s), want %v", rejected, gate, tt.rejected)
			}
		})
		delete(said, tt.name)
	}
	for name := range said {
		t.Errorf("the fixture %s has no test", name)
	}
}

// Texts of the network, the daemon and the disk that no fixture has, as curl and
// Nix write them.
func TestFailuresThatPass(t *testing.T) {
	for _, text := range []string{
		"error: unable to download 'https://cache.nixos.org/x.narinfo': Couldn't resolve host name (6)",
		"error: unable to download 'https://cache.nixos.org/x': HTTP error 503",
		"error: opening a connection to remote store: Connection refused",
		"error: unexpected end-of-file",
		"error: writing to file: No space left on device",
		"error: creating directory '/nix/store/x': Read-only file system",
		"error: reading file '/nix/store/x/default.nix': Input/output error",
		"error: writing to file: Disk quota exceeded",
		"error: SQLite database '/nix/var/nix/db/db.sqlite' is busy: database is busy",
		"error: fork: Cannot allocate memory",
		"error: Nix daemon disconnected unexpectedly (maybe it crashed?)",
		"error: getting a tarball failed: Operation timed out after 30 s",
	} {
		programs(t, map[string]string{"nix": `cat >&2 <<'END'` + "\n" + text + "\nEND\nexit 1"})
		_, err := new(Nix).Configurations(t.Context(), revision)
		if gate, rejected := reconcile.RejectedBy(err); err == nil || rejected {
			t.Errorf("%s\nis held against the revision as %q (%v), want that it passes", text, gate, err)
		}
	}
}

// What a builder does to a sandbox, which is read-only for everybody, is the commit's fault.
func TestABuilderThatWritesElsewhere(t *testing.T) {
	programs(t, map[string]string{"nix": "echo \"error: builder for '/nix/store/x.drv' failed with exit code 1\" >&2; echo '       > mkdir: cannot create directory: Read-only file system' >&2; exit 1"})
	_, err := new(Nix).Configurations(t.Context(), revision)
	if _, rejected := reconcile.RejectedBy(err); !rejected {
		t.Errorf("got %v, want that the revision is refused", err)
	}
}

func TestAKilledEvaluationPasses(t *testing.T) {
	programs(t, map[string]string{"nix": "echo 'error: half a' >&2; kill -9 $$"})
	_, _, err := new(Nix).Evaluate(t.Context(), revision, "web")
	if _, rejected := reconcile.RejectedBy(err); rejected || err == nil || err.Error() != `evaluate nixosConfigurations."web": nix was killed` {
		t.Errorf("got %v (rejected: %v), want that it was killed", err, rejected)
	}
}

func TestAnEvaluationOutOfMemoryNamesTheLimit(t *testing.T) {
	programs(t, map[string]string{"nix": "echo 'GC Warning: Out of Memory! Heap size: 438 MiB. Returning NULL!' >&2; echo 'error: out of memory' >&2; exit 1"})
	_, _, err := (&Nix{Memory: 2 << 30}).Evaluate(t.Context(), revision, "web")
	const want = `evaluate nixosConfigurations."web": Nix needs more than 2048 MiB of memory (hint: if the configuration is that large, raise limits.evaluate_memory)`
	if _, rejected := reconcile.RejectedBy(err); rejected || err == nil || err.Error() != want {
		t.Errorf("got %v (rejected: %v), want %s", err, rejected, want)
	}
}

func TestACancelledEvaluationSaysWhy(t *testing.T) {
	programs(t, map[string]string{"nix": "exec sleep 1000"})
	why := errors.New("superseded")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, _, err := new(Nix).Evaluate(ctx, revision, "web")
	if _, rejected := reconcile.RejectedBy(err); rejected || !errors.Is(err, why) {
		t.Errorf("got %v (rejected: %v), want %v", err, rejected, why)
	}
}

func TestExplained(t *testing.T) {
	tests := []struct{ said, want string }{
		{"", "no message"},
		{"\n  \n", "no message"},
		{"it went wrong", "it went wrong"},
		{"error: a\nerror: b", "b"},
		{"warning: w\nerror:\n   … while\n   error: the cause\n   hint: x", "the cause\nhint: x"},
		{"error:\nthe text comes below", "the text comes below"},
		{"error:", "error:"},
		{"\x1b[31;1merror:\x1b[0m \x1b[35;1mred\x1b[0m", "red"},
		{"error: 1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\n5\n6\n7\n8"},
	}
	for _, tt := range tests {
		if got := explained(strings.Split(tt.said, "\n")); got != tt.want {
			t.Errorf("explained(%q) = %q, want %q", tt.said, got, tt.want)
		}
	}
}

func TestStripColour(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                      "plain",
		"\x1b[31;1mred\x1b[0m\x1b[K": "red",
		"\x1b[Kerased, some":         "erased, some",
		"cut \x1b[31":                "cut ",
		"\x1b[":                      "",
		"a \x1b b":                   "a \x1b b",
	} {
		if got := stripColour(in); got != want {
			t.Errorf("stripColour(%q) = %q, want %q", in, got, want)
		}
	}
}
