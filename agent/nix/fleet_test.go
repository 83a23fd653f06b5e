package nix

import (
	"strings"
	"testing"

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
	if err == nil || !strings.Contains(err.Error(), "error: no") {
		t.Errorf("Realise = %v", err)
	}
	called(t, calls(), "nix-store [--realise] [--keep-going] [--quiet] [/nix/store/aaa-x.drv] [/nix/store/bbb-y.drv]")
}
