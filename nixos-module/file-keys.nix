# Made from the tags in agent/config by "go test ./nixos-module -update": change them there.
{
  tables = {
    "nix" = [ "netrc_file" "access_tokens_file" "ssh_key_file" "known_hosts_file" "ssh_config_file" ];
    "notify" = [ "command_secret_file" ];
    "notify.webhooks" = [ "secret_file" "ca_file" ];
    "source.hosts" = [ "token_file" "ssh_key_file" "known_hosts_file" "ca_file" ];
    "source.remotes" = [ "token_file" "ssh_key_file" "known_hosts_file" "ca_file" ];
    "trust" = [ "allowed_signers_file" "openpgp_keyring_file" "revocation_file" "manifest_signers_file" ];
  };
  secrets = [ "access_tokens_file" "command_secret_file" "netrc_file" "secret_file" "ssh_key_file" "token_file" ];
}
