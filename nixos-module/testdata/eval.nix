# Evaluates the module, with more modules beside it, on the stand-ins.
{ system ? "x86_64-linux", modules ? [ ] }:
(import ./lib.nix).evalModules {
  specialArgs.pkgs = import ./pkgs.nix { inherit system; };
  modules = [ ../. ./nixos.nix ] ++ modules;
}
