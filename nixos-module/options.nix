{ lib, pkgs, ... }:
let
  inherit (lib) literalExpression mkOption types;
  toml = pkgs.formats.toml { };
in
{
  options.services.infra-agent = {
    enable = lib.mkEnableOption "infra-agent, a GitOps pull agent that brings this node to its repository's main branch";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../packaging/package.nix { };
      defaultText = literalExpression "pkgs.callPackage ./packaging/package.nix { }";
      example = literalExpression "inputs.infra-agent.packages.\${pkgs.stdenv.hostPlatform.system}.default";
      description = "The infra-agent package.";
    };

    settings = mkOption {
      type = types.submodule (import ./settings.nix { inherit lib toml; });
      default = { };
      example = literalExpression ''
        {
          source.remotes = [ { url = "https://git.example.org/fleet.git"; } ];
          confirm.window = "2m";
        }
      '';
      description = ''
        The agent's settings, written to `/etc/infra-agent/config.toml`. When the system is built, the agent itself checks
        them: a typo fails the build and not the node. Durations are written like `90s` or `1h30m`, sizes like `256MiB`.
      '';
    };

    metrics.openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether to open the port of `settings.metrics.listen` in the firewall. The metrics are plain HTTP, for whoever reaches
        the port: open it in a network of your own, or let a proxy with TLS have them.
      '';
    };

    metrics.socketActivation = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether systemd listens at `settings.metrics.listen`, and hands the agent the socket: scrapes wait while the agent starts
        again, as it does in many deployments, and a unix socket has its owner and mode from systemd.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf types.str; # not a path: Nix would copy the secret into its store
      default = { };
      example.forge = "/run/secrets/forge-token";
      description = ''
        Files with secrets, by the name under which the agent reads them: `/run/credentials/infra-agent.service/NAME`,
        which a remote's `token_file` or `ssh_key_file` may be. systemd copies them when the agent starts; one that is not there
        then is an empty copy, which the agent names. Files in homes, which the agent's unit does not see, are handed over by themselves.
      '';
    };
  };
}
