# bin/deploy-image with what it calls. nix run .#deploy-image -- --help
{ pkgs, infra-agent }:
pkgs.writeShellApplication {
  name = "deploy-image";
  runtimeInputs = [ infra-agent pkgs.jq pkgs.nix pkgs.openssh ];
  text = builtins.readFile ../bin/deploy-image;
}
