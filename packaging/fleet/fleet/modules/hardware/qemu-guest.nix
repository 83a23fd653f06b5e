# A machine in Proxmox or QEMU: its disks, its balloon, its random numbers, its agent for the host.
{ config, lib, ... }:
let
  cfg = config.fleet.hardware.qemuGuest;
in
{
  options.fleet.hardware.qemuGuest.enable = lib.mkEnableOption "drivers of a QEMU guest";

  config = lib.mkIf cfg.enable {
    services.qemuGuest.enable = true;
    boot.initrd.availableKernelModules = [
      "virtio_pci" "virtio_blk" "virtio_net" "virtio_scsi" "scsi_mod" "sd_mod" "sr_mod" # disks
      "uhci_hcd" "ehci_pci" "xhci_pci" "usbhid" "usb_storage" # USB 1.1 to 3
    ];
    boot.kernelModules = [ "virtio_balloon" "virtio_rng" ];
  };
}
