# An image for a cloud with OpenStack's metadata, by nixpkgs' own image modules (system.build.images).
{ config, lib, ... }:
let
  cfg = config.fleet.virtualisation.cloud;
in
{
  options.fleet.virtualisation.cloud.enable = lib.mkEnableOption "what an image for a cloud needs";

  config = lib.mkIf cfg.enable {
    fleet.hardware.qemuGuest.enable = true;
    services.cloud-init = { enable = true; network.enable = true; };
    # Or it would take user data, which is for cloud-init, for a configuration in Nix.
    image.modules.openstack.virtualisation.amazon-init.enable = false;
  };
}
