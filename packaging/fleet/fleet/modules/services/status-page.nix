# A service that nixpkgs does not have: a page with the fleet's machines, made from the registry.
{ config, lib, pkgs, ... }:
let
  cfg = config.fleet.services.statusPage;
  row = name: node: "<li>${name}: ${lib.concatStringsSep ", " node.roles}</li>";
  machines = lib.filterAttrs (_: node: node.kind != "template") config.fleet.infrastructure.nodes;
  page = pkgs.writeTextDir "index.html" ''
    <!doctype html><title>${config.fleet.infrastructure.domain}</title>
    <ul>${lib.concatStringsSep "" (lib.mapAttrsToList row machines)}</ul>
  '';
in
{
  options.fleet.services.statusPage = {
    enable = lib.mkEnableOption "a page with the fleet's machines";
    openFirewall = lib.mkEnableOption "its port in the firewall";
  };

  config = lib.mkIf cfg.enable {
    services.nginx = { enable = true; virtualHosts.${config.fleet.infrastructure.domain} = { default = true; root = page; }; };
    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall [ 80 ];
  };
}
