# Stands for the rest of NixOS: below the names of options.nix every option is there, and nobody says what it may be. What a real
# NixOS would refuse there is not seen.
{ config, lib, ... }:
{
  freeformType = lib.types.lazyAttrsOf lib.types.anything;
  options = {
    networking.hostName = lib.mkOption { type = lib.types.str; default = "nixos"; };
    nixpkgs.hostPlatform = lib.mkOption { type = lib.types.str; };
    system.stateVersion = lib.mkOption { type = lib.types.str; };
  };
  config.system.build = {
    toplevel = "toplevel of ${config.networking.hostName}";
    vm = "vm of ${config.networking.hostName}";
    images.proxmox = "proxmox image";
    images.openstack = "openstack image";
    images.digital-ocean = "digital ocean image";
  };
}
