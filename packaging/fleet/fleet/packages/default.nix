# Programs that nixpkgs does not have, and the documents. Each is a file.
{ pkgs, infra-agent }:
{
  deploy-image = import ./deploy-image.nix { inherit pkgs infra-agent; };
  docs = import ./docs.nix { inherit pkgs; };
}
