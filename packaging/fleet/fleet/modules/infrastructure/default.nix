# The registry as options, so that modules can read it and mistakes fail the build: fleet.infrastructure.nodes.dns-01.address.
# fromRegistry gives each node its own table as the argument `node`; images have none.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  registry = builtins.fromTOML (builtins.readFile ./infrastructure.toml);
  maybe = type: mkOption { type = types.nullOr type; default = null; };

  proxy = types.submodule {
    options = {
      port = mkOption { type = types.port; };
      subdomains = mkOption { type = types.listOf types.str; default = [ ]; };
      protocol = mkOption { type = types.enum [ "http" "https" ]; default = "http"; description = "To the node."; };
      websockets = mkOption { type = types.bool; default = false; };
      ssl = mkOption { type = types.bool; default = false; description = "To visitors."; };
    };
  };
  node = types.submodule {
    freeformType = types.anything; # checks, windows and whatever else the agent alone reads
    options = {
      system = maybe (types.enum [ "x86_64-linux" "aarch64-linux" ]);
      kind = maybe (types.enum [ "vm" "metal" "cloud" "template" "appliance" ]);
      managed = mkOption { type = types.bool; default = true; };
      address = maybe types.str;
      roles = mkOption { type = types.listOf types.str; default = [ ]; };
      vmid = maybe types.int;
      tags = mkOption { type = types.listOf types.str; default = [ ]; };
      wave = maybe types.str;
      proxied = mkOption { type = types.bool; default = false; };
      proxy = maybe proxy;
    };
  };
in
{
  imports = [ ./agent.nix ];

  options.fleet.infrastructure = {
    domain = mkOption { type = types.str; description = "Domain of the nodes."; };
    nodes = mkOption { type = types.attrsOf node; description = "The machines, as infrastructure.toml has them."; };
  };

  config.fleet.infrastructure = { inherit (registry.fleet) domain; inherit (registry) nodes; };
}
