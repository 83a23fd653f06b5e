# The machine: its hardware (nixos-generate-config writes hardware-configuration.nix), and the agent.
{ lib, ... }:
{
  imports = lib.optional (builtins.pathExists ./hardware-configuration.nix) ./hardware-configuration.nix;

  system.stateVersion = "25.11";
  services.openssh.enable = true;

  services.infra-agent = {
    enable = true;
    settings.source.remotes = [ { url = "https://git.example.org/fleet.git"; } ]; # this repository
  };
}
