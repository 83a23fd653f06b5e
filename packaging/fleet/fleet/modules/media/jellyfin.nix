{ config, lib, ... }:
let
  cfg = config.fleet.media.jellyfin;
in
{
  options.fleet.media.jellyfin = {
    enable = lib.mkEnableOption "Jellyfin";
    openFirewall = lib.mkEnableOption "its ports in the firewall";
    library = lib.mkOption { type = lib.types.str; default = "/srv/media"; description = "Directory of the media, which must be mounted."; };
  };

  config = lib.mkIf cfg.enable {
    services.jellyfin = { enable = true; inherit (cfg) openFirewall; };
    systemd.services.jellyfin.unitConfig.RequiresMountsFor = cfg.library;
  };
}
