# What cannot work together is refused when the system is evaluated.
{ config, lib, ... }:
let
  cfg = config.services.infra-agent;

  notWith = option: {
    assertion = !(lib.attrByPath (lib.splitString "." option) false config);
    message = "services.infra-agent and ${option} would both switch this system: enable one of them.";
  };

  directory = "/run/credentials/infra-agent.service/";
  hasCredential = file: !(lib.hasPrefix directory file) || cfg.credentials ? ${lib.removePrefix directory file};
  secretOf = key: remote: {
    assertion = hasCredential remote.${key};
    message = "services.infra-agent: remote ${remote.name} has the ${key} ${remote.${key}}, but services.infra-agent.credentials has nothing of that name.";
  };
in
{
  config.assertions = lib.mkIf cfg.enable ([
    (notWith "system.autoUpgrade.enable")
    (notWith "services.comin.enable")
    {
      assertion = config.nix.enable;
      message = "services.infra-agent builds with Nix: it needs nix.enable.";
    }
    {
      assertion = cfg.settings.source.remotes != [ ];
      message = "services.infra-agent has nothing to follow: set services.infra-agent.settings.source.remotes.";
    }
  ] ++ builtins.concatMap (key: map (secretOf key) cfg.settings.source.remotes) [ "token_file" "ssh_key_file" ]);
}
