// Package nixosmodule holds the NixOS module services.infra-agent, and the stand-ins for nixpkgs on which it can be evaluated
// without nixpkgs. It is here so that the lab's nodes are made from the module.
package nixosmodule

import "embed"

// Files are the module and its stand-ins, which are in the folder testdata.
//
//go:embed *.nix testdata/*.nix
var Files embed.FS
