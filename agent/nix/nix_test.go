package nix

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// programs puts doubles on PATH that write down how they were called, and then
// run a script. It returns what was called so far, one line a call.
func programs(t *testing.T, scripts map[string]string) (calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for name, script := range scripts {
		text := fmt.Sprintf("#!/bin/sh\n{ printf '%%s' \"${0##*/}\"; printf ' [%%s]' \"$@\"; echo; } >> %s\n%s\n", log, script)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() []string {
		text, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
}

func called(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("called\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

var revision = reconcile.Revision{
	Commit: "0123456789012345678901234567890123456789", Time: time.Unix(1700000000, 0), Tree: "/nix/store/sss-source",
}

const (
	ref      = "path:/nix/store/sss-source?lastModified=1700000000&rev=0123456789012345678901234567890123456789"
	features = "[--extra-experimental-features] [nix-command flakes]"
	strict   = "[--no-update-lock-file]"
)

func TestFlakeRef(t *testing.T) {
	if got := new(Nix).FlakeRef(revision); got != ref {
		t.Errorf("got %s, want %s", got, ref)
	}
	const hidden = "path:/nix/store/sss-source?lastModified=1700000000"
	if got := (&Nix{HideRev: true}).FlakeRef(revision); got != hidden {
		t.Errorf("got %s, want %s", got, hidden)
	}
	const sub = "path:/nix/store/sss-source?dir=hosts%2Fa+b&lastModified=1700000000&rev=0123456789012345678901234567890123456789"
	if got := (&Nix{Subdir: "hosts/a b"}).FlakeRef(revision); got != sub {
		t.Errorf("with a directory: got %s, want %s", got, sub)
	}
}

// Each of these was tried with Nix 2.26: it decodes the fragment and then looks
// for the closing quote. A name with a quote in it cannot be asked for at all.
func TestAttribute(t *testing.T) {
	for name, want := range map[string]string{
		"web":     `nixosConfigurations."web"`,
		"a.b":     `nixosConfigurations."a.b"`,
		"a b":     `nixosConfigurations."a%20b"`,
		"a${b}":   `nixosConfigurations."a$%7Bb%7D"`,
		`a\b`:     `nixosConfigurations."a%5Cb"`,
		`a"b`:     `nixosConfigurations."a%22b"`,
		"a#b?c%d": `nixosConfigurations."a%23b%3Fc%25d"`,
		"ü":       `nixosConfigurations."%C3%BC"`,
	} {
		if got := new(Nix).attribute(name); got != want {
			t.Errorf("attribute(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestAdd(t *testing.T) {
	calls := programs(t, map[string]string{"nix-store": `[ "$1" != --add ] || echo /nix/store/sss-source`})
	roots := filepath.Join(t.TempDir(), "roots")
	got, err := (&Nix{Roots: roots}).Add(t.Context(), "/var/lib/infra-agent/source", "source")
	if got != "/nix/store/sss-source" || err != nil {
		t.Errorf("Add() = %q, %v, want the store path", got, err)
	}
	called(t, calls(),
		"nix-store [--add] [/var/lib/infra-agent/source]",
		"nix-store [--realise] [/nix/store/sss-source] [--add-root] ["+roots+"/source]",
	)
}

func TestAddFails(t *testing.T) {
	programs(t, map[string]string{"nix-store": "echo 'error: disk full' >&2; exit 1"})
	_, err := new(Nix).Add(t.Context(), "/tree", "source")
	if err == nil || err.Error() != "add /tree to the store: nix-store: exit status 1: error: disk full" {
		t.Errorf("got %v", err)
	}
	if gate, rejected := reconcile.RejectedBy(err); rejected {
		t.Errorf("it is held against the revision as %s", gate)
	}
}

func TestConfigurations(t *testing.T) {
	calls := programs(t, map[string]string{"nix": `echo '["web","a.b"]'`})
	got, err := new(Nix).Configurations(t.Context(), revision)
	if !slices.Equal(got, []string{"web", "a.b"}) || err != nil {
		t.Errorf("Configurations() = %q, %v, want web and a.b", got, err)
	}
	called(t, calls(), "nix "+features+" [eval] [--json] ["+ref+"#nixosConfigurations] [--apply] [builtins.attrNames] "+strict)

	programs(t, map[string]string{"nix": "echo nonsense"})
	if _, err := new(Nix).Configurations(t.Context(), revision); err == nil || !strings.HasPrefix(err.Error(), "list nixosConfigurations: ") {
		t.Errorf("nonsense gives %v, want an error", err)
	}
}

func TestEvaluate(t *testing.T) {
	calls := programs(t, map[string]string{
		"nix":       "printf /nix/store/ddd-nixos-system-web.drv",
		"nix-store": "echo /nix/store/ttt-nixos-system-web",
	})
	drv, top, err := new(Nix).Evaluate(t.Context(), revision, "a.b")
	if drv != "/nix/store/ddd-nixos-system-web.drv" || top != "/nix/store/ttt-nixos-system-web" || err != nil {
		t.Errorf("Evaluate() = %q, %q, %v", drv, top, err)
	}
	called(t, calls(),
		"nix "+features+" [eval] [--raw] ["+ref+`#nixosConfigurations."a.b".config.system.build.toplevel.drvPath] `+strict,
		"nix-store [--query] [--outputs] [/nix/store/ddd-nixos-system-web.drv]",
	)
}

// What was evaluated before may be asked for anew, and something is built that never was, unless others build for the node.
func TestProve(t *testing.T) {
	const anew = "nix " + features + " [eval] [--raw] [--option] [eval-cache] [false] [" + ref + `#nixosConfigurations."web".config.system.build.toplevel.drvPath] ` + strict
	const jobs, build = "nix " + features + " [config] [show] [max-jobs]", "nix " + features + " [build] [--no-link] [--expr] ["
	for _, c := range []struct {
		nix  Nix
		anew bool
		jobs string
		want []string
	}{
		{Nix{}, false, "4", []string{jobs, build}},
		{Nix{}, true, "4", []string{anew, jobs, build}},
		{Nix{}, true, "0", []string{anew, jobs}},
		{Nix{File: File{Path: "default.nix"}}, true, "auto", []string{jobs, build}},
	} {
		calls := programs(t, map[string]string{"nix": `case "$*" in *max-jobs*) echo ` + c.jobs + `;; esac`})
		if err := c.nix.Prove(t.Context(), revision, "web", c.anew); err != nil {
			t.Error(err)
		}
		got := calls()
		for i, call := range got {
			if strings.HasPrefix(call, build) {
				got[i] = build
			}
		}
		called(t, got, c.want...)
	}
	programs(t, map[string]string{"nix": `case "$*" in *max-jobs*) echo 4;; *) echo "error: the build users group 'nixbld' has no members" >&2; exit 1;; esac`})
	err := new(Nix).Prove(t.Context(), revision, "web", false)
	if err == nil || !strings.Contains(err.Error(), "has no members") {
		t.Errorf("a Nix that builds nothing: %v", err)
	}
}

func TestEvaluateWantsOneStorePath(t *testing.T) {
	for _, answer := range []string{"", "nonsense", `/nix/store/a\n/nix/store/b`} {
		programs(t, map[string]string{"nix": "printf /nix/store/ddd.drv", "nix-store": "printf '" + answer + "'"})
		_, _, err := new(Nix).Evaluate(t.Context(), revision, "web")
		if err == nil || !strings.HasPrefix(err.Error(), "query outputs of /nix/store/ddd.drv: want one store path, got ") {
			t.Errorf("outputs %q give %v, want an error", answer, err)
		}
	}
}

// What the settings say to Nix, with both inputs overridden.
const said = "[--cores] [2] [--impure] [--override-input] [a] [path:/a] [--override-input] [b] [path:/b]"

// With an input overridden, Nix 2.26 takes a lock file that lacks another input, and
// only warns: it is asked before.
func TestEvaluateWithSettings(t *testing.T) {
	calls := programs(t, map[string]string{
		"nix":       `case "$*" in *metadata*) ;; *) printf /nix/store/ddd-nixos-system-web.drv;; esac`,
		"nix-store": "echo /nix/store/ttt-nixos-system-web",
	})
	n := &Nix{ExtraArgs: []string{"--cores", "2"}, Impure: true, Overrides: map[string]string{"b": "path:/b", "a": "path:/a"}}
	if _, _, err := n.Evaluate(t.Context(), revision, "web"); err != nil {
		t.Error(err)
	}
	called(t, calls(),
		"nix "+features+" [flake] [metadata] [--json] ["+ref+"] "+strict,
		"nix "+features+" [eval] [--raw] ["+ref+`#nixosConfigurations."web".config.system.build.toplevel.drvPath] `+said+" "+strict,
		"nix-store [--query] [--outputs] [/nix/store/ddd-nixos-system-web.drv]",
	)
	programs(t, map[string]string{"nix": `case "$*" in *metadata*) echo "error: stale" >&2; exit 1;; *) echo '[]';; esac`})
	if _, err := n.Configurations(t.Context(), revision); err == nil {
		t.Error("a lock file that does not fit is taken")
	}
}

// Every program is told Nix's settings, and last that the repository has none.
func TestEnvironment(t *testing.T) {
	t.Setenv("NIX_CONFIG", "cores = 1\naccept-flake-config = true")
	heard := filepath.Join(t.TempDir(), "heard")
	write := `printf '%s\n--\n' "$NIX_CONFIG" >> ` + heard + `; `
	programs(t, map[string]string{"nix": write + "echo /nix/store/sss", "nix-store": write + "echo /nix/store/ttt", "nixos-rebuild": write + built})
	n := &Nix{Roots: t.TempDir(), Settings: []string{"accept-flake-config = true", "cores = 2"}}
	_, err := n.Add(t.Context(), "/tree", "source")
	_, _, evaluated := n.Evaluate(t.Context(), revision, "web")
	err = errors.Join(err, evaluated, n.Build(t.Context(), from("web", "/nix/store/ttt-nixos-system-web"), "built", nil))
	got, read := os.ReadFile(heard)
	if err := errors.Join(err, read); err != nil {
		t.Fatal(err)
	}
	const want = "cores = 1\naccept-flake-config = true\naccept-flake-config = true\ncores = 2\naccept-flake-config = false\n--\n"
	if string(got) != strings.Repeat(want, 6) {
		t.Errorf("the programs hear\n%swant six times\n%s", got, want)
	}
}

const built = `ln -sfn /nix/store/ttt-nixos-system-web result`

// from is what comes of an evaluation.
func from(configuration string, top reconcile.Toplevel) (e reconcile.Evaluated) {
	e.Revision, e.Target.Configuration, e.Toplevel = revision, configuration, top
	return e
}

func TestBuild(t *testing.T) {
	fixture := fixtures(t, "build.txtar")["fetched"]
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(fixture), 0o600); err != nil {
		t.Fatal(err)
	}
	calls := programs(t, map[string]string{"nixos-rebuild": built + "; cat " + log + " >&2", "nix-store": ""})
	roots := filepath.Join(t.TempDir(), "roots")
	n := &Nix{Roots: roots, ExtraArgs: []string{"--cores", "2"}, Impure: true, Overrides: map[string]string{"b": "path:/b", "a": "path:/a"}}
	var last reconcile.Progress
	err := n.Build(t.Context(), from("a b", "/nix/store/ttt-nixos-system-web"), "built", func(p reconcile.Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	called(t, calls(),
		"nixos-rebuild [build] [--flake] ["+ref+"#a%20b] [--log-format] [internal-json] [-v] "+said+" "+strict,
		"nix-store [--realise] [/nix/store/ttt-nixos-system-web] [--add-root] ["+roots+"/built]",
	)
	if want := (reconcile.Progress{Copied: 1, ToCopy: 1, Bytes: 499712, BytesAll: 500112}); last != want {
		t.Errorf("progress ends with %+v, want %+v", last, want)
	}
	if got, err := os.Readlink(filepath.Join(roots, "build", "result")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the result is still a root: %q, %v", got, err)
	}
}

func TestBuildThatIsNotWhatWasEvaluated(t *testing.T) {
	programs(t, map[string]string{"nixos-rebuild": built})
	err := (&Nix{Roots: t.TempDir()}).Build(t.Context(), from("web", "/nix/store/other"), "built", func(reconcile.Progress) {})
	if err == nil || err.Error() != "build: nixos-rebuild built /nix/store/ttt-nixos-system-web, but the evaluation said /nix/store/other" {
		t.Errorf("got %v", err)
	}
	programs(t, map[string]string{"nixos-rebuild": ""})
	if err := (&Nix{Roots: t.TempDir()}).Build(t.Context(), from("web", "/nix/store/other"), "built", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a result: got %v, want that there is none", err)
	}
}

func TestRoot(t *testing.T) {
	roots := filepath.Join(t.TempDir(), "roots")
	n := &Nix{Roots: roots}
	calls := programs(t, map[string]string{"nix-store": `ln -sfn "$2" "$4"`})
	for range 2 { // the second time it is there already
		if err := n.Root(t.Context(), "system", "/nix/store/ttt"); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Root(t.Context(), "system", "/nix/store/uuu"); err != nil {
		t.Fatal(err)
	}
	called(t, calls(),
		"nix-store [--realise] [/nix/store/ttt] [--add-root] ["+roots+"/system]",
		"nix-store [--realise] [/nix/store/uuu] [--add-root] ["+roots+"/system]",
	)
	if info, err := os.Stat(roots); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("roots: %v, %v, want mode 0700", info, err)
	}
}

func TestUnroot(t *testing.T) {
	n := &Nix{Roots: filepath.Join(t.TempDir(), "roots")}
	if err := n.Unroot(); err != nil {
		t.Errorf("without roots: %v", err)
	}
	err := os.MkdirAll(filepath.Join(n.Roots, "build"), 0o700)
	for _, name := range []string{"old", "new", "source"} {
		err = errors.Join(err, os.Symlink("/nix/store/"+name, filepath.Join(n.Roots, name)))
	}
	if err := errors.Join(err, n.Unroot("new", "source", "missing")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(n.Roots)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := []string{"build", "new", "source"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("roots are %q, %v, want %q", got, err, want)
	}
}

func TestSubstituters(t *testing.T) {
	calls := programs(t, map[string]string{"nix": `echo "https://cache.nixos.org/ https://cache.example.org"`})
	got, err := new(Nix).Substituters(t.Context())
	if !slices.Equal(got, []string{"https://cache.nixos.org/", "https://cache.example.org"}) || err != nil {
		t.Errorf("Substituters() = %q, %v", got, err)
	}
	called(t, calls(), "nix "+features+" [config] [show] [substituters]")
	programs(t, map[string]string{"nix": `echo "error: no" >&2; exit 1`})
	if _, err := new(Nix).Substituters(t.Context()); err == nil || err.Error() != "read substituters: nix: exit status 1: error: no" {
		t.Errorf("got %v", err)
	}
}
