package nix

import (
	"fmt"
	"strings"
	"testing"
)

// What Nix 2.26.3 says of a path that is named by its content, and of one that was built and refers
// to others; a key that it made has signed both.
const (
	nixKey    = "lab-1:5S8g1Zqj+6m42FLQP5O2j1g3nxzX6PEtkux1OH8GewM="
	addedPath = "/nix/store/wi8pbvf51fnscflylqf8pjal0sdkazar-infra-agent-manifest"
	addedSig  = "lab-1:hOou+YsuuEZjJQHp7uXRyvieieamiik62yPnImsZSYiUoH3wsv/rW0xK2yYztduWgaPqR/BINFyvKPNyDu8IDg=="
	addedHash = "sha256:1bkxpfggj184xkh64bnw9ig6aj94fi0vdkzqavn5v53z2bcq719j"
	builtPath = "/nix/store/lfn1n4yg6jycrm4fmln6mrg96m2bs8wb-r"
	builtSig  = "lab-1:bjfVj1UaDFjA7/JMQu7HmDAZYlfk4XBZrCxkD0EA4pHKO9hSwqesJT3J0p5xjIp1aP+d+vXViTNwvNfkjo1pDg=="
	builtRefs = "/nix/store/2wnhz6w3mjfx2fvvibsfz19kxxmww3qp-hostname\n/nix/store/lfn1n4yg6jycrm4fmln6mrg96m2bs8wb-r\n/nix/store/h0i2d00zr9krvxllg2zmszqn9gjcdbrz-passwd"
	otherKey  = "lab-1:qE8FfPeaAM15KLeZeEt1vNZaPzkCVkG+1MipQn+Px1Y="
)

func TestSigned(t *testing.T) {
	ca := "ca:fixed:r:" + addedHash
	for _, c := range []struct {
		name, path, said, hash, size, refs, trusted string
		signed                                      bool
	}{
		{"named by its content", addedPath, ca + " " + addedSig, addedHash, "456", "", nixKey, true},
		{"by two keys, of which one is trusted", addedPath, ca + " x-1:AAAA " + addedSig, addedHash, "456", "", "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY= " + nixKey, true},
		{"built", builtPath, "ultimate " + builtSig, "sha256:1ixvl9l6gpxiwk40vfxy9zahq9md3vdpppxjqp6yk3awnrngzk8n", "264", builtRefs, nixKey, true},
		{"not at all", addedPath, ca, addedHash, "456", "", nixKey, false},
		{"by a key of that name that is another", addedPath, ca + " " + addedSig, addedHash, "456", "", otherKey, false},
		{"by that key, which has another name", addedPath, ca + " " + addedSig, addedHash, "456", "", "lab-2" + strings.TrimPrefix(nixKey, "lab-1"), false},
		{"for another content", addedPath, ca + " " + addedSig, strings.Replace(addedHash, "1b", "1c", 1), "456", "", nixKey, false},
		{"for another size", addedPath, ca + " " + addedSig, addedHash, "457", "", nixKey, false},
		{"for another path", builtPath, addedSig, addedHash, "456", "", nixKey, false},
		{"for other references", builtPath, builtSig, "sha256:1ixvl9l6gpxiwk40vfxy9zahq9md3vdpppxjqp6yk3awnrngzk8n", "264", addedPath, nixKey, false},
		{"nobody is trusted", addedPath, ca + " " + addedSig, addedHash, "456", "", "", false},
		{"keys that are none", addedPath, ca + " lab-1:!! lab-1 :", addedHash, "456", "", "lab-1:!! lab-1 : lab-1:AAAA", false},
	} {
		programs(t, map[string]string{
			"nix":       fmt.Sprintf("case \"$*\" in *path-info*) echo '%s\t%s' ;; *) echo '%s' ;; esac", c.path, c.said, c.trusted),
			"nix-store": fmt.Sprintf("case $2 in --hash) echo %s ;; --size) echo %s ;; --references) echo '%s' ;; esac", c.hash, c.size, c.refs),
		})
		key, err := new(Nix).Signed(t.Context(), c.path)
		if c.signed && (err != nil || key != "lab-1") || !c.signed && (err == nil || !strings.Contains(err.Error(), "is not signed by any of the keys")) {
			t.Errorf("%s: Signed = %q, %v", c.name, key, err)
		}
	}
	t.Log("signed in a cache only after it came here")
	programs(t, map[string]string{
		"nix":       fmt.Sprintf("case \"$*\" in *gone*) exit 1 ;; *https*) echo '%s %s' ;; *path-info*) echo '%s' ;; *trusted*) echo '%s' ;; *) echo https://gone https://cache ;; esac", addedPath, addedSig, addedPath, nixKey),
		"nix-store": fmt.Sprintf("case $2 in --hash) echo %s ;; --size) echo 456 ;; esac", addedHash),
	})
	if key, err := new(Nix).Signed(t.Context(), addedPath); err != nil || key != "lab-1" {
		t.Errorf("Signed = %q, %v", key, err)
	}
	programs(t, map[string]string{"nix": "echo 'error: path is not valid' >&2; exit 1"})
	if key, err := new(Nix).Signed(t.Context(), addedPath); err == nil {
		t.Errorf("a path that is not there is signed by %q", key)
	}
}
