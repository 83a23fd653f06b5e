package nix

import (
	"slices"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// As Nix 2.26 and Nix 2.33 print them.
func TestSystemOf(t *testing.T) {
	for _, c := range []struct{ printed, want string }{
		{`{"/nix/store/aaa-x.drv":{"args":[],"builder":"/bin/sh","env":{"system":"other"},"name":"x","system":"aarch64-linux"}}`, "aarch64-linux"},
		{`{"derivations":{"aaa-x.drv":{"name":"x","system":"riscv64-linux","version":4}},"version":4}`, "riscv64-linux"},
		{`{"/nix/store/aaa-x.drv":{"name":"x"}}`, ""},
		{`{}`, ""},
		{`<html>`, ""},
	} {
		calls := programs(t, map[string]string{"nix": "cat <<'E'\n" + c.printed + "\nE"})
		got, err := new(Nix).SystemOf(t.Context(), "/nix/store/aaa-x.drv")
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: SystemOf = %q, %v, want %q", c.printed, got, err, c.want)
		}
		called(t, calls(), "nix "+features+" [derivation] [show] [/nix/store/aaa-x.drv]")
	}
}

func TestRealise(t *testing.T) {
	calls := programs(t, map[string]string{"nix-store": "echo error: no >&2; exit 1"})
	err := new(Nix).Realise(t.Context(), []reconcile.Derivation{"/nix/store/aaa-x.drv", "/nix/store/bbb-y.drv"})
	if err == nil || err.Error() != "no" {
		t.Errorf("Realise = %v", err)
	}
	called(t, calls(), "nix-store [--realise] [--keep-going] [--quiet] [/nix/store/aaa-x.drv] [/nix/store/bbb-y.drv]")
}

func TestDiffClosures(t *testing.T) {
	calls := programs(t, map[string]string{"nix": `printf 'openssl: 3.0.13 → 3.0.14, \033[31;1m+12.3 KiB\033[0m\n\nzlib: 1.3 → ∅\n'`})
	got, err := new(Nix).DiffClosures(t.Context(), "/nix/store/aaa", "/nix/store/bbb")
	if want := []string{"openssl: 3.0.13 → 3.0.14, +12.3 KiB", "zlib: 1.3 → ∅"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("DiffClosures = %q, %v, want %q", got, err, want)
	}
	called(t, calls(), "nix "+features+" [store] [diff-closures] [/nix/store/aaa] [/nix/store/bbb]")
}

func TestLockedTimes(t *testing.T) {
	const lock = `{"nodes":{"top":{"inputs":{"nixpkgs":"nixpkgs_2","follows":["nixpkgs"],"undated":"undated"}},
		"nixpkgs":{"locked":{"lastModified":1}},"nixpkgs_2":{"locked":{"lastModified":1769860800}},"undated":{"locked":{"path":"/x"}}},"root":"top","version":7}`
	got, err := LockedTimes([]byte(lock))
	if want := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC); err != nil || len(got) != 1 || !got["nixpkgs"].Equal(want) {
		t.Errorf("LockedTimes = %v, %v, want nixpkgs of %v", got, err, want)
	}
	if got, err := LockedTimes([]byte("<<<<<<<")); err == nil {
		t.Errorf("a lock with a conflict: %v", got)
	}
}
