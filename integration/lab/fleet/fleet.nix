# Builds each node's system from the registry and its roles, as a NixOS fleet does. What a role sets adds up in units, etc and
# packages; of the rest, the last role's value holds.
{ self }:
let
  inherit (builtins) attrNames concatStringsSep filter foldl' fromTOML mapAttrs readFile;
  inherit (import ./system.nix) defaults toplevel;

  registry = fromTOML (readFile ./infrastructure.toml);

  isImplied = role: (registry.roles.${role} or { }).implied or false;
  rolesOf = node: filter isImplied (attrNames (registry.roles or { })) ++ (node.roles or [ ]);

  checked = role: settings:
    let unknown = filter (key: !(defaults ? ${key})) (attrNames settings); in
    if unknown == [ ] then settings
    else throw "roles/${role}.nix: unknown setting ${concatStringsSep ", " unknown}";

  merge = a: b: a // b // {
    units = a.units or { } // b.units or { };
    etc = a.etc or { } // b.etc or { };
    packages = a.packages or [ ] ++ b.packages or [ ];
  };

  compose = node:
    let
      ofRole = role: checked role (import (./roles + "/${role}.nix") { inherit node registry self; });
      roles = foldl' merge defaults (map ofRole (rolesOf node));
      agent = import ./agent.nix { system = "x86_64-linux"; version = roles.agentVersion; };
    in
    merge agent roles; # a role may replace the agent's unit or settings
in
{
  nixosConfigurations = mapAttrs (name: node: { config.system.build.toplevel = toplevel name (compose (node // { inherit name; })); }) registry.nodes;
}
