# What the registry says of a proxy (proxied, proxy) is what this one serves.
{ config, lib, ... }:
let
  cfg = config.fleet.networking.proxy;
  inherit (config.fleet.infrastructure) domain nodes;
  sites = lib.concatMap (node: map (name: { inherit name node; }) node.proxy.subdomains)
    (lib.attrValues (lib.filterAttrs (_: node: node.proxied && node.proxy != null) nodes));
  byHttps = lib.any (site: site.node.proxy.ssl) sites;
in
{
  options.fleet.networking.proxy = {
    enable = lib.mkEnableOption "nginx before the nodes that are proxied";
    openFirewall = lib.mkEnableOption "its ports in the firewall";
  };

  config = lib.mkIf cfg.enable {
    services.nginx = {
      enable = true;
      recommendedProxySettings = true;
      virtualHosts = lib.listToAttrs (map (site: {
        name = "${site.name}.${domain}";
        value = {
          enableACME = site.node.proxy.ssl;
          forceSSL = site.node.proxy.ssl;
          locations."/" = {
            proxyPass = "${site.node.proxy.protocol}://${site.node.address}:${toString site.node.proxy.port}";
            proxyWebsockets = site.node.proxy.websockets;
          };
        };
      }) sites);
    };
    security.acme = lib.mkIf byHttps { acceptTerms = true; defaults.email = "admin@${domain}"; };
    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall ([ 80 ] ++ lib.optionals byHttps [ 443 ]);
  };
}
