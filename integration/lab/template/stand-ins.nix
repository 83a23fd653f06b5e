# Stands for the inputs of the template's flake on the nodes of the lab, whose NixOS is the lab's. Around it are the lab's folder
# fleet, and the project's nixos-module and packaging/fleet/testdata.
let lib = import ./nixos-module/testdata/lib.nix; in
import ./packaging/fleet/testdata/inputs.nix {
  pkgsOf = system: import ./packaging/fleet/testdata/pkgs.nix { inherit lib system; } // import ./nixos-module/testdata/pkgs.nix { inherit system; };
  modules = [ ./node.nix ];
}
