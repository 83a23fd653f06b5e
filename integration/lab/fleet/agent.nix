# The agent on a node, by the project's own NixOS module: the lab puts the module beside this file, and stand-ins for nixpkgs
# (nixos-module/testdata). The file config.toml holds the settings, and credentials.toml the names of secret files.
{ system, version }:
let
  inherit (builtins) concatStringsSep filter fromTOML mapAttrs pathExists readFile;

  package = (import ./system.nix).agent version;

  # Options of the module that are no settings.
  extra = if pathExists ./agent-options.toml then [{ services.infra-agent = fromTOML (readFile ./agent-options.toml); }] else [ ];

  nixos = (import ./nixos-module/testdata/eval.nix {
    inherit system;
    modules = extra ++ [{
      services.infra-agent = {
        enable = true;
        inherit package;
        settings = fromTOML (readFile ./config.toml);
        credentials = fromTOML (readFile ./credentials.toml);
      };
    }];
  }).config;

  failed = map (a: a.message) (filter (a: !a.assertion) nixos.assertions);
in
if version == "none" then { }
else if failed != [ ] then throw "Failed assertions: ${concatStringsSep "; " failed}"
else {
  units = mapAttrs (_: unit: unit.text) nixos.systemd.units;
  etc = nixos.environment.etc;
  packages = nixos.environment.systemPackages;
}
