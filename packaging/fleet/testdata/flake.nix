# Evaluates a flake of the templates on stand-ins for its inputs.
{ flake, lib ? import ../../../nixos-module/testdata/lib.nix }:
let
  inherit (builtins) attrNames filter;
  standIns = import ./inputs.nix { inherit lib; };
  inherit (standIns.nixpkgs.lib) nixosSystem;

  inputs = standIns // { self = outputs // { outPath = flake; }; };
  outputs = (import (flake + "/flake.nix")).outputs inputs;
in
{
  inherit inputs outputs nixosSystem;
  # Of every input that the flake declares there is a stand-in.
  missing = filter (name: !(inputs ? ${name})) (attrNames (import (flake + "/flake.nix")).inputs);
  # A system of the fleet's modules, and more.
  system = modules: nixosSystem { specialArgs = { inherit inputs; node = { }; }; modules = [ (flake + "/modules") { nixpkgs.hostPlatform = "x86_64-linux"; } ] ++ modules; };
  inherit (inputs.infra-agent.lib) fromRegistry;
  # The messages of a system's assertions that do not hold.
  failed = system: map (a: a.message) (filter (a: !a.assertion) system.config.assertions);
}
