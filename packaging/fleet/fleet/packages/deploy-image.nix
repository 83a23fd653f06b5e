# bin/deploy-image with what it calls. nix run .#deploy-image -- --help
{ pkgs }:
pkgs.writeShellApplication {
  name = "deploy-image";
  runtimeInputs = [ pkgs.openssh pkgs.jq ];
  text = builtins.readFile ../bin/deploy-image;
}
