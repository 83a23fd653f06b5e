{ config, lib, ... }:
let
  cfg = config.fleet.database.postgres;
in
{
  options.fleet.database.postgres = {
    enable = lib.mkEnableOption "PostgreSQL";
    openFirewall = lib.mkEnableOption "its port in the firewall";
    databases = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; description = "Databases, each with a user of its name."; };
  };

  config = lib.mkIf cfg.enable {
    services.postgresql = {
      enable = true;
      ensureDatabases = cfg.databases;
      ensureUsers = map (name: { inherit name; ensureDBOwnership = true; }) cfg.databases;
    };
    # The data is on a disk of its own: without it nothing is written to the wrong place.
    systemd.services.postgresql.unitConfig.RequiresMountsFor = "/var/lib/postgresql";
    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall [ 5432 ];
  };
}
