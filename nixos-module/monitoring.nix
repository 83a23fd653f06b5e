# services.infra-agent.monitoring: the Prometheus and Grafana of a fleet, on the host that has them. It needs no agent.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.services.infra-agent.monitoring;
  infra-agent = "${cfg.package}/bin/infra-agent";

  # The managed nodes of the registry, in the form of file_sd.
  targets = pkgs.runCommand "infra-agent-targets.json" { } ''
    ${infra-agent} registry prometheus-targets --path ${cfg.registry} --port ${toString cfg.port} >$out
  '';

  asks = cfg.head.url != null || cfg.head.config != null;
  question = if cfg.head.config != null then [ "--config" cfg.head.config ] else [ "--url" cfg.head.url "--branch" cfg.head.branch ];

  # Grafana reads a directory of boards.
  boards = pkgs.runCommand "infra-agent-boards" { } ''
    mkdir $out
    cp ${../packaging/grafana/fleet.json} $out/fleet.json
    cp ${../packaging/grafana/node.json} $out/node.json
  '';
in
{
  _class = "nixos";

  options.services.infra-agent.monitoring = {
    enable = lib.mkEnableOption "rules, alerts and boards for a fleet of infra-agents, beside this host's Prometheus and Grafana";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../packaging/package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./packaging/package.nix { }";
      description = "The infra-agent package, which reads the registry and asks for the branch's head.";
    };

    registry = mkOption {
      type = types.path;
      example = lib.literalExpression "./infrastructure.toml";
      description = "The fleet's registry. Each managed node is scraped at its address, or where it has none at its host name or name.";
    };

    port = mkOption {
      type = types.port;
      default = 10119;
      description = "The port at which the nodes, or a proxy there, serve their metrics: `metrics.listen` of an agent is the node's loopback by default.";
    };

    interval = mkOption {
      type = types.str;
      default = "30s";
      description = "How often a node is scraped.";
    };

    head = {
      url = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://git.example.org/fleet.git";
        description = ''
          The repository whose branch this host asks for each minute, so that the alert InfraAgentNotFollowing can tell a node
          that does not see what others see. Null, and no `head.config` either: nobody asks, that alert never fires, and the
          board says "no reference". The answer reaches Prometheus by way of node_exporter, which it has to scrape on this host.
        '';
      };

      branch = mkOption {
        type = types.str;
        default = "main";
        description = "The branch that the nodes follow.";
      };

      config = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/etc/infra-agent/config.toml";
        description = ''
          Settings of an agent with the remotes, credentials and branch to ask with, for a repository that not everybody may read; they take the
          place of `url` and `branch`. The files with credentials must be root's own, as those of an agent on this host are.
        '';
      };

      directory = mkOption {
        type = types.str;
        default = "/var/lib/infra-agent-head";
        description = "Where the answer is written, as `infra-agent.prom`: a directory of node_exporter's textfile collector.";
      };
    };
  };

  config = mkIf cfg.enable {
    services.prometheus = {
      scrapeConfigs = [
        {
          job_name = "infra-agent"; # the rules look for this name
          scrape_interval = cfg.interval;
          file_sd_configs = [ { files = [ "${targets}" ]; } ];
        }
      ];
      ruleFiles = [ "${../packaging/prometheus/infra-agent.rules.yml}" ];
      exporters.node = mkIf asks {
        enabledCollectors = [ "textfile" ];
        extraFlags = [ "--collector.textfile.directory=${cfg.head.directory}" ];
      };
    };

    services.grafana.provision = {
      enable = true;
      dashboards.settings.providers = [
        {
          name = "infra-agent";
          options.path = "${boards}";
        }
      ];
    };

    systemd.services.infra-agent-head = mkIf asks {
      description = "Ask for the head of the branch that infra-agents follow";
      after = [ "network-online.target" ];
      wants = [ "network-online.target" ];
      # What is there stays until there is another answer: its time says how old it is.
      script = ''
        umask 022
        ${infra-agent} registry head ${lib.escapeShellArgs question} >/tmp/head
        cp /tmp/head ${lib.escapeShellArg "${cfg.head.directory}/infra-agent.prom.new"}
        mv ${lib.escapeShellArg "${cfg.head.directory}/infra-agent.prom.new"} ${lib.escapeShellArg "${cfg.head.directory}/infra-agent.prom"}
      '';
      serviceConfig = {
        Type = "oneshot";
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectHome = true;
        ProtectSystem = "strict";
        ReadWritePaths = [ cfg.head.directory ];
        RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_UNIX" ];
        SystemCallArchitectures = "native";
      };
    };
    systemd.timers.infra-agent-head = mkIf asks {
      wantedBy = [ "timers.target" ];
      timerConfig.OnCalendar = "minutely";
    };
    systemd.tmpfiles.rules = mkIf asks [ "d ${cfg.head.directory} 0755 root root" ];
  };
}
