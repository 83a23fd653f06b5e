# What others may import: every role as role-NAME, the fleet's modules, and the two profiles.
{ lib, ... }:
let
  roles = lib.filter (lib.hasSuffix ".nix") (builtins.attrNames (builtins.readDir ../roles));
in
{
  flake.nixosModules = {
    fleet = ../modules;
    profile-development = ../profiles/development.nix;
    profile-server = ../profiles/server.nix;
  } // lib.listToAttrs (map (file: { name = "role-${lib.removeSuffix ".nix" file}"; value = ../roles + "/${file}"; }) roles);
}
