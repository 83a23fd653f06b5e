# The files that the settings name, and how the agent's unit gets at them.
{ lib, cfg }:
let
  inherit (lib) hasPrefix removePrefix;
  inherit (builtins) any concatMap elem filter hashString listToAttrs map replaceStrings substring;

  keys = import ./file-keys.nix;
  of = keys.tables;

  named = owner: key: path: { inherit key path; name = "${key} of ${owner}"; isSecret = elem key keys.secrets; };

  # ProtectHome hides these from the agent, whoever owns the file.
  isHidden = path: any (home: hasPrefix home path) [ "/root/" "/home/" "/run/user/" ];
  copyOf = path: replaceStrings [ "/" ] [ "-" ] (removePrefix "/" path) + "-" + substring 0 8 (hashString "sha256" path);
  directory = "/run/credentials/infra-agent.service/";
  seen = path: if isHidden path then directory + copyOf path else path;
  seenIn = keys: set: set // listToAttrs (map (name: { inherit name; value = seen set.${name}; }) keys);
in
rec {
  inherit directory;

  # Every file that is named, with the words for it.
  all = filter (file: file.path != "") (
    concatMap (remote: map (key: named "remote ${remote.name}" key remote.${key}) of."source.remotes") cfg.settings.source.remotes
    ++ concatMap (host: map (key: named "host ${host.host}" key host.${key}) of."source.hosts") cfg.settings.source.hosts
    ++ map (key: named "nix" key cfg.settings.nix.${key}) of.nix
    ++ map (key: named "trust" key cfg.settings.trust.${key}) of.trust
    ++ map (key: named "notify" key cfg.settings.notify.${key}) of.notify
    ++ concatMap (hook: map (key: named "webhook ${hook.name}" key hook.${key}) of."notify.webhooks") cfg.settings.notify.webhooks
  );

  # What systemd copies for the agent, by name.
  credentials = cfg.credentials // listToAttrs
    (map (file: { name = copyOf file.path; value = file.path; }) (filter (file: isHidden file.path) all));

  # The settings with the copies of the files that the agent would not see.
  settings = cfg.settings // {
    source = cfg.settings.source // {
      remotes = map (seenIn of."source.remotes") cfg.settings.source.remotes;
      hosts = map (seenIn of."source.hosts") cfg.settings.source.hosts;
    };
    nix = seenIn of.nix cfg.settings.nix;
    trust = seenIn of.trust cfg.settings.trust;
    notify = seenIn of.notify cfg.settings.notify // { webhooks = map (seenIn of."notify.webhooks") cfg.settings.notify.webhooks; };
  };
}
