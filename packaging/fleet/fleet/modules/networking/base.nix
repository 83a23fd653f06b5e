{ config, lib, ... }:
let
  cfg = config.fleet.networking;
in
{
  options.fleet.networking.enable = lib.mkEnableOption "systemd-networkd with DHCP, a firewall, and the fleet's domain";

  config = lib.mkIf cfg.enable {
    networking.useNetworkd = true;
    networking.useDHCP = lib.mkDefault true;
    networking.domain = config.fleet.infrastructure.domain;
    networking.firewall.enable = true;
    services.resolved.enable = lib.mkDefault true;
  };
}
