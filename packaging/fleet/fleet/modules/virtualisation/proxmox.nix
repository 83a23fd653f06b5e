# A template for Proxmox, by nixpkgs' own image modules (system.build.images.proxmox, nixos/modules/virtualisation/proxmox-image.nix),
# which have taken the place of nixos-generators. They restore a disk by VirtIO; bin/deploy-image makes a SCSI disk of it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.fleet.virtualisation.proxmox;
in
{
  options.fleet.virtualisation.proxmox = {
    enable = lib.mkEnableOption "what a template for Proxmox needs";
    machine = mkOption { type = types.enum [ "q35" "pc" "virt" ]; default = "q35"; description = "Machine that QEMU plays; virt on ARM, pc is i440fx."; };
    uefi = mkOption { type = types.bool; default = true; description = "UEFI, without Secure Boot: deploy-image makes the EFI disk anew."; };
    disk = mkOption {
      type = types.enum [ "scsi" "virtio" ];
      default = "scsi";
      description = "scsi: with discard, an I/O thread, and as an SSD.";
    };
  };

  config = lib.mkIf cfg.enable {
    fleet.hardware.qemuGuest.enable = true;
    services.cloud-init = { enable = true; network.enable = true; };
    # These options are there in the image's own evaluation alone.
    image.modules.proxmox.proxmox = {
      cloudInit = { enable = true; device = if cfg.machine == "virt" then "scsi1" else "ide2"; }; # virt has no IDE
      partitionTableType = if cfg.uefi then "efi" else "legacy";
      qemuConf = { bios = if cfg.uefi then "ovmf" else "seabios"; agent = true; cores = 2; memory = 2048; scsihw = "virtio-scsi-single"; };
      qemuExtraConf.machine = cfg.machine;
    };
  };
}
