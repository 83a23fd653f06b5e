# Builds on the node that has the role remote-builder, in place of here. Nix's daemon logs in there as builder, by a key from sops.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.fleet.services.remoteBuilds;
in
{
  options.fleet.services.remoteBuilds = {
    enable = lib.mkEnableOption "builds on another node";
    host = mkOption { type = types.str; default = "build-01"; description = "The node that builds."; };
    keyFile = mkOption { type = types.str; example = "/run/secrets/builder-key"; description = "File with the private key of secrets/builder.pub."; };
    hostKey = mkOption { type = types.nullOr types.str; default = null; description = "Its host key: base64 -w0 /etc/ssh/ssh_host_ed25519_key.pub there. Null: root's known_hosts has it."; };
  };

  config = lib.mkIf cfg.enable {
    nix.distributedBuilds = true;
    nix.settings.builders-use-substitutes = true;
    nix.buildMachines = [
      {
        hostName = config.fleet.infrastructure.nodes.${cfg.host}.address;
        protocol = "ssh-ng";
        sshUser = "builder";
        sshKey = cfg.keyFile;
        publicHostKey = cfg.hostKey;
        systems = [ "x86_64-linux" "aarch64-linux" ];
        maxJobs = 2;
        supportedFeatures = [ "big-parallel" "kvm" "nixos-test" ];
      }
    ];
  };
}
