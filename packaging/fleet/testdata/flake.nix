# Evaluates a flake of the templates on stand-ins for its inputs. lib is nixpkgs' own, or its stand-in.
{ flake, lib ? import ../../../nixos-module/testdata/lib.nix }:
let
  inherit (builtins) attrNames foldl' isAttrs listToAttrs mapAttrs;
  pkgsOf = system: import ./pkgs.nix { inherit lib system; };

  merge = a: b: a // mapAttrs (name: value: if a ? ${name} && isAttrs a.${name} && isAttrs value then merge a.${name} value else value) b;

  nixosSystem = { modules, specialArgs ? { } }: lib.evalModules {
    specialArgs = specialArgs // { pkgs = pkgsOf "x86_64-linux"; };
    modules = [ ../../../nixos-module/testdata/nixos.nix ./nixos.nix ] ++ modules;
  };

  # What flake-parts does with modules as simple as these: it adds them up, and asks perSystem for each system.
  mkFlake = { inputs }: { systems, imports }:
    let
      parts = map (file: let part = import file; in if isAttrs part then part else part { inherit inputs lib; }) imports;
      of = system: foldl' merge { } (map (part: (part.perSystem or (_: { })) { inherit system; pkgs = pkgsOf system; }) parts);
      perSystem = foldl' merge { } (map (system: mapAttrs (_: value: { ${system} = value; }) (of system)) systems);
    in
    foldl' merge perSystem (map (part: part.flake or { }) parts);

  nothing = { };
  inputs = {
    self = outputs // { outPath = flake; };
    nixpkgs = {
      lib = lib // { inherit nixosSystem; };
      legacyPackages = listToAttrs (map (system: { name = system; value = pkgsOf system; }) [ "x86_64-linux" "aarch64-linux" ]);
    };
    flake-parts.lib = { inherit mkFlake; };
    infra-agent = {
      lib = import ../../../nixos-module/lib.nix;
      nixosModules = {
        default.imports = [ ../../../nixos-module { services.infra-agent.package = lib.mkDefault "/run/current-system/sw"; } ];
        monitoring.imports = [ ../../../nixos-module/monitoring.nix { services.infra-agent.monitoring.package = lib.mkDefault "/run/current-system/sw"; } ];
      };
      packages = mapAttrs (_: _: { default = "/infra-agent"; }) inputs.nixpkgs.legacyPackages;
    };
    disko.nixosModules.disko = nothing;
    home-manager.nixosModules.home-manager = nothing;
    sops-nix.nixosModules.sops = nothing;
  };
  outputs = (import (flake + "/flake.nix")).outputs inputs;
in
{
  inherit outputs;
  # Of every input that the flake declares there is a stand-in.
  missing = builtins.filter (name: !(inputs ? ${name})) (attrNames (import (flake + "/flake.nix")).inputs);
  # A system of the fleet's modules, and more.
  system = modules: nixosSystem { specialArgs = { inherit inputs; node = { }; }; modules = [ (flake + "/modules") { nixpkgs.hostPlatform = "x86_64-linux"; } ] ++ modules; };
  inherit (inputs.infra-agent.lib) fromRegistry;
  inherit nixosSystem;
  # The messages of a system's assertions that do not hold.
  failed = system: map (a: a.message) (builtins.filter (a: !a.assertion) system.config.assertions);
}
