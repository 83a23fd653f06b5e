# Programs that nixpkgs does not have. Each is a file.
{ pkgs }:
{
  deploy-image = import ./deploy-image.nix { inherit pkgs; };
}
