# The files that the settings name, and how the agent's unit gets at them.
{ lib, cfg }:
let
  inherit (lib) hasPrefix removePrefix;
  inherit (builtins) any concatMap elem filter hashString listToAttrs map replaceStrings substring;

  ofRemote = [ "token_file" "ssh_key_file" "known_hosts_file" "ca_file" ];
  ofNix = [ "netrc_file" "access_tokens_file" "ssh_key_file" "known_hosts_file" "ssh_config_file" ];
  ofTrust = [ "allowed_signers_file" "openpgp_keyring_file" "revocation_file" "manifest_signers_file" ];
  ofWebhook = [ "secret_file" "ca_file" ];
  ofNotify = [ "command_secret_file" ];
  secret = [ "secret_file" "command_secret_file" "token_file" "ssh_key_file" "netrc_file" "access_tokens_file" ];

  named = owner: key: path: { inherit key path; name = "${key} of ${owner}"; isSecret = elem key secret; };

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
    concatMap (remote: map (key: named "remote ${remote.name}" key remote.${key}) ofRemote) cfg.settings.source.remotes
    ++ concatMap (host: map (key: named "host ${host.host}" key host.${key}) ofRemote) cfg.settings.source.hosts
    ++ map (key: named "nix" key cfg.settings.nix.${key}) ofNix
    ++ map (key: named "trust" key cfg.settings.trust.${key}) ofTrust
    ++ map (key: named "notify" key cfg.settings.notify.${key}) ofNotify
    ++ concatMap (hook: map (key: named "webhook ${hook.name}" key hook.${key}) ofWebhook) cfg.settings.notify.webhooks
  );

  # What systemd copies for the agent, by name.
  credentials = cfg.credentials // listToAttrs
    (map (file: { name = copyOf file.path; value = file.path; }) (filter (file: isHidden file.path) all));

  # The settings with the copies of the files that the agent would not see.
  settings = cfg.settings // {
    source = cfg.settings.source // {
      remotes = map (seenIn ofRemote) cfg.settings.source.remotes;
      hosts = map (seenIn ofRemote) cfg.settings.source.hosts;
    };
    nix = seenIn ofNix cfg.settings.nix;
    trust = seenIn ofTrust cfg.settings.trust;
    notify = seenIn ofNotify cfg.settings.notify // { webhooks = map (seenIn ofWebhook) cfg.settings.notify.webhooks; };
  };
}
