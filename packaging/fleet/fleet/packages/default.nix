# Programs that nixpkgs does not have, and the documents. Each is a file.
{ pkgs }:
{
  deploy-image = import ./deploy-image.nix { inherit pkgs; };
  docs = import ./docs.nix { inherit pkgs; };
}
