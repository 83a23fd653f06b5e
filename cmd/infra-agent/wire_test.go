package main

import "testing"

func TestNixSystem(t *testing.T) {
	for arch, want := range map[string]string{"amd64": "x86_64-linux", "arm64": "aarch64-linux", "loong64": "loongarch64-linux", "arm": "", "mips": ""} {
		if got := nixSystemOf(arch); got != want {
			t.Errorf("%s: %q, want %q", arch, got, want)
		}
	}
}
