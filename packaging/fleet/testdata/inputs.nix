# Stands for the inputs of the templates' flakes. lib is nixpkgs' own, or its stand-in; pkgsOf gives the packages of a system, and
# modules belong to every NixOS.
{ lib ? import ../../../nixos-module/testdata/lib.nix
, pkgsOf ? system: import ./pkgs.nix { inherit lib system; }
, modules ? [ ]
}:
let
  inherit (builtins) attrNames elem filter foldl' head isAttrs listToAttrs mapAttrs;

  merge = a: b: a // mapAttrs (name: value: if a ? ${name} && isAttrs a.${name} && isAttrs value then merge a.${name} value else value) b;

  # What flake-parts does with modules as simple as these: it adds them up, and asks perSystem for each system.
  mkFlake = { inputs }: { systems, imports }:
    let
      parts = map (file: let part = import file; in if isAttrs part then part else part { inherit inputs lib; }) imports;
      of = system: foldl' merge { } (map (part: (part.perSystem or (_: { })) { inherit system; pkgs = pkgsOf system; }) parts);
      perSystem = foldl' merge { } (map (system: mapAttrs (_: value: { ${system} = value; }) (of system)) systems);
    in
    foldl' merge perSystem (map (part: part.flake or { }) parts);

  nothing = { };
  common = [ ../../../nixos-module/testdata/nixos.nix ./nixos.nix ] ++ modules;
in
rec {
  nixpkgs = {
    lib = lib // {
      nixosSystem = { modules, specialArgs ? { } }:
        let
          system = lib.evalModules {
            specialArgs = specialArgs // { pkgs = pkgsOf "x86_64-linux"; };
            modules = common ++ modules;
          };
          unknown = filter (name: !elem name (import ./options.nix)) (attrNames system.config);
        in
        if unknown == [ ] then system else throw "The option `${head unknown}' does not exist.";
    };
    legacyPackages = listToAttrs (map (system: { name = system; value = pkgsOf system; }) [ "x86_64-linux" "aarch64-linux" ]);
  };
  flake-parts.lib = { inherit mkFlake; };
  infra-agent = {
    lib = import ../../../nixos-module/lib.nix;
    nixosModules = {
      default.imports = [ ../../../nixos-module { services.infra-agent.package = lib.mkDefault "/run/current-system/sw"; } ];
      monitoring.imports = [ ../../../nixos-module/monitoring.nix { services.infra-agent.monitoring.package = lib.mkDefault "/run/current-system/sw"; } ];
    };
    packages = mapAttrs (_: _: { default = "/infra-agent"; }) nixpkgs.legacyPackages;
  };
  disko.nixosModules.disko = nothing;
  home-manager.nixosModules.home-manager = nothing;
  sops-nix.nixosModules.sops = nothing;
}
