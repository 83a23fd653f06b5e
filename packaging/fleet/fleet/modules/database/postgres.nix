{ config, lib, ... }:
let
  cfg = config.fleet.database.postgres;
in
{
  options.fleet.database.postgres = {
    enable = lib.mkEnableOption "PostgreSQL";
    openFirewall = lib.mkEnableOption "its port in the firewall";
    databases = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; description = "Databases, each with a user of its name."; };
    clients = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; description = "Networks whose machines may log in, by password, each user to its database."; };
  };

  config = lib.mkIf cfg.enable {
    services.postgresql = {
      enable = true;
      enableTCPIP = cfg.openFirewall;
      authentication = lib.concatStringsSep "\n" (map (network: "host sameuser all ${network} scram-sha-256") cfg.clients);
      ensureDatabases = cfg.databases;
      ensureUsers = map (name: { inherit name; ensureDBOwnership = true; }) cfg.databases;
    };
    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall [ 5432 ];
  };
}
