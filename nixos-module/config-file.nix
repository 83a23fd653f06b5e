# The settings as a file that the agent has checked, so that a typo fails the build and not the node.
{ lib, pkgs, package, settings }:
let
  withoutNull = value:
    if lib.isAttrs value then lib.mapAttrs (_: withoutNull) (lib.filterAttrs (_: v: v != null) value)
    else if lib.isList value then map withoutNull value
    else value;

  file = (pkgs.formats.toml { }).generate "config.toml" (withoutNull settings);

  checked = pkgs.runCommand "infra-agent-config.toml" { preferLocalBuild = true; allowSubstitutes = false; } ''
    ${package}/bin/infra-agent check ${file}
    cp ${file} $out
  '';
in
if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then checked else file
