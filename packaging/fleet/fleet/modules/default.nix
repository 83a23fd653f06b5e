# Every module of the fleet. Importing one changes nothing: roles, profiles and hosts enable what they need.
{ inputs, ... }:
{
  imports = [
    inputs.disko.nixosModules.disko
    inputs.home-manager.nixosModules.home-manager
    inputs.sops-nix.nixosModules.sops
    ./infrastructure
    ./database/postgres.nix
    ./desktop/xfce.nix
    ./hardware/qemu-guest.nix
    ./media/jellyfin.nix
    ./networking/base.nix
    ./networking/proxy.nix
    ./networking/resolver.nix
    ./security/secure.nix
    ./security/trusted.nix
    ./services/remote-builds.nix
    ./services/status-page.nix
    ./shell/fish.nix
    ./storage/data-disk.nix
    ./virtualisation/cloud.nix
    ./virtualisation/containers.nix
    ./virtualisation/guest.nix
    ./virtualisation/proxmox.nix
  ];
}
