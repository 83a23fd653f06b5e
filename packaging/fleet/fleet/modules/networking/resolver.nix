{ config, lib, ... }:
let
  cfg = config.fleet.networking.resolver;
  nodes = lib.filterAttrs (_: node: node.address != null) config.fleet.infrastructure.nodes;
in
{
  options.fleet.networking.resolver = {
    enable = lib.mkEnableOption "Unbound, which knows the fleet's nodes by name";
    openFirewall = lib.mkEnableOption "its port in the firewall";
    listen = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ "127.0.0.1" ]; description = "Addresses at which it answers."; };
    clients = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; description = "Networks that may ask, beside this machine."; };
  };

  config = lib.mkIf cfg.enable {
    services.resolved.enable = false; # it would hold port 53
    services.unbound = {
      enable = true;
      settings.server = {
        interface = cfg.listen;
        ip-freebind = true; # it may start before the network has its address
        access-control = map (network: "${network} allow") ([ "127.0.0.0/8" ] ++ cfg.clients);
        local-data = lib.mapAttrsToList (name: node: ''"${name}.${config.fleet.infrastructure.domain}. A ${node.address}"'') nodes;
      };
    };
    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall [ 53 ];
    networking.firewall.allowedUDPPorts = lib.optionals cfg.openFirewall [ 53 ];
  };
}
