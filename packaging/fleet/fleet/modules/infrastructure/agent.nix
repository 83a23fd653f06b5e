# The agent: what it follows. Where this changes, a node shows in its trial that it still follows, or goes back.
{ config, inputs, lib, ... }:
let
  cfg = config.fleet.agent;
in
{
  imports = [ inputs.infra-agent.nixosModules.default ];

  options.fleet.agent = {
    enable = lib.mkEnableOption "the agent that deploys this repository";
    url = lib.mkOption { type = lib.types.str; default = "https://git.example.org/fleet.git"; description = "This repository."; };
    branch = lib.mkOption { type = lib.types.str; default = "main"; description = "What nodes follow: deploy, which CI advances, once it has."; };
    tokenFile = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/run/secrets/forge-token";
      description = "File with a token that may read this repository; null: everybody may.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.infra-agent = {
      enable = true;
      credentials = lib.mkIf (cfg.tokenFile != null) { forge = cfg.tokenFile; };
      settings = {
        source.branch = cfg.branch;
        source.remotes = [
          ({ name = "forge"; inherit (cfg) url; } // (if cfg.tokenFile == null then { } else { token_file = "/run/credentials/infra-agent.service/forge"; }))
        ];
        registry.file = "modules/infrastructure/infrastructure.toml";
        control.group = "wheel";
      };
    };
  };
}
