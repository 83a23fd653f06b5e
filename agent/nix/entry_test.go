package nix

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A repository that is no flake is entered by a file, in the evaluation and the build alike.
func TestAFileGivesTheSystems(t *testing.T) {
	there := filepath.Join(t.TempDir(), "ddd.drv")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	calls := programs(t, map[string]string{
		"nix":           `case "$*" in *attrNames*) echo '["web.1"]' ;; *--json*) echo '{"schema":1}' ;; *\ build\ *) ` + built + ` ;; *) printf /nix/store/ddd.drv ;; esac`,
		"nix-store":     "echo /nix/store/ttt-nixos-system-web",
		"nixos-rebuild": built,
	})
	n := &Nix{Roots: filepath.Join(t.TempDir(), "roots"), Subdir: "hosts", File: File{Path: "default.nix", Attr: "nodes"}, ExtraArgs: []string{"--cores", "2"}}
	names, err := n.Configurations(t.Context(), revision)
	if err != nil || len(names) != 1 || names[0] != "web.1" {
		t.Errorf("Configurations() = %q, %v", names, err)
	}
	if value, err := n.Value(t.Context(), revision, "infraAgent.registry"); err != nil || string(value) != "{\"schema\":1}\n" {
		t.Errorf("Value() = %q, %v", value, err)
	}
	if _, _, err := n.Evaluate(t.Context(), revision, "web.1"); err != nil {
		t.Error(err)
	}
	step := from("web.1", "/nix/store/ttt-nixos-system-web")
	for _, step.Derivation = range []reconcile.Derivation{"/nix/store/gone.drv", reconcile.Derivation(there)} {
		if err := n.Build(t.Context(), step, "built", func(reconcile.Progress) {}); err != nil {
			t.Error(err)
		}
	}
	n.File.Attr = ""
	if _, err := n.Configurations(t.Context(), revision); err != nil {
		t.Error(err)
	}
	const file = "[--file] [/nix/store/sss-source/hosts/default.nix]"
	called(t, calls(),
		"nix "+features+" [eval] [--json] "+file+" [nodes] [--apply] [builtins.attrNames] [--cores] [2]",
		"nix "+features+" [eval] [--json] "+file+" [infraAgent.registry] [--cores] [2]",
		"nix "+features+" [eval] [--raw] "+file+` [nodes."web.1".config.system.build.toplevel.drvPath] [--cores] [2]`,
		"nix-store [--query] [--outputs] [/nix/store/ddd.drv]",
		"nixos-rebuild [build] "+file+` [--attr] [nodes."web.1"] [--log-format] [internal-json] [-v] [--cores] [2]`,
		"nix-store [--realise] [/nix/store/ttt-nixos-system-web] [--add-root] ["+n.Roots+"/built]",
		"nix "+features+" [build] ["+there+"^out] [--log-format] [internal-json] [-v] [--cores] [2]",
		"nix-store [--realise] [/nix/store/ttt-nixos-system-web] [--add-root] ["+n.Roots+"/built]",
		"nix "+features+" [eval] [--json] "+file+" [--apply] [builtins.attrNames] [--cores] [2]",
	)
	pure, err := n.environment()
	impure, err2 := (&Nix{File: n.File, Impure: true}).environment()
	if err != nil || err2 != nil || !slices.Contains(pure, "NIX_PATH=") || slices.Contains(impure, "NIX_PATH=") {
		t.Errorf("the environment is %q, and with nix.impure %q, want no NIX_PATH in the first", pure, impure)
	}
}

// What Nix 2.26.3 says of a file, word for word, and what a person is told.
func TestFailuresOfAFile(t *testing.T) {
	for _, tt := range []struct{ says, want string }{
		{
			"error: attribute 'web9' in selection path 'nodes.\"web9\".config' not found\n       Did you mean web.1?",
			`evaluate nodes."web": default.nix does not have this output (hint: did you mean web.1? Add the configuration to default.nix, or correct the node in the registry)`,
		},
		{
			"error: file 'nixpkgs' was not found in the Nix search path (add it using $NIX_PATH or -I)",
			`evaluate nodes."web": default.nix looks something up in NIX_PATH, which is another one on every machine (hint: pin it in the repository (npins, niv, fetchTarball with a hash), or set nix.impure)`,
		},
		{
			"error: path '/nix/store/sss-source/default.nix' does not exist",
			`evaluate nodes."web": there is no default.nix in the repository's root (hint: correct nix.file or source.subdir)`,
		},
	} {
		programs(t, map[string]string{"nix": "cat >&2 <<'EOF'\n" + tt.says + "\nEOF\nexit 1"})
		_, _, err := (&Nix{File: File{Path: "default.nix", Attr: "nodes"}}).Evaluate(t.Context(), revision, "web")
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.says, err, tt.want)
		}
	}
}
