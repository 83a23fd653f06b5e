# What a machine keeps of the image that it was made from: where it boots, and the disk, which grows to what the host gives it.
{ config, lib, ... }:
let
  cfg = config.fleet.virtualisation.guest;
in
{
  options.fleet.virtualisation.guest = {
    enable = lib.mkEnableOption "the disk and the boot loader of a machine that was made from one of the fleet's images";
    uefi = lib.mkOption { type = lib.types.bool; default = true; description = "Whether the image boots by UEFI: proxmox-x86-legacy and clouds on x86 do not."; };
  };

  config = lib.mkIf cfg.enable {
    fleet.hardware.qemuGuest.enable = true;
    boot.growPartition = true;
    boot.loader.grub =
      if cfg.uefi then { device = "nodev"; efiSupport = true; efiInstallAsRemovable = true; }
      else { device = "/dev/vda"; };
    fileSystems = {
      "/" = { device = "/dev/disk/by-label/nixos"; fsType = "ext4"; autoResize = true; };
    } // lib.optionalAttrs cfg.uefi {
      "/boot" = { device = "/dev/disk/by-label/ESP"; fsType = "vfat"; };
    };
  };
}
