# Containers, each a unit of systemd that is judged in a trial as any other: virtualisation.oci-containers.containers.NAME.
{ config, lib, ... }:
let
  cfg = config.fleet.virtualisation.containers;
in
{
  options.fleet.virtualisation.containers.enable = lib.mkEnableOption "Podman for the machine's containers";

  config = lib.mkIf cfg.enable {
    virtualisation.oci-containers.backend = "podman";
    virtualisation.podman = {
      enable = true;
      autoPrune.enable = true;
      defaultNetwork.settings.dns_enabled = true;
    };
  };
}
