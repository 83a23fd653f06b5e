{ config, lib, pkgs, ... }:
let
  cfg = config.services.infra-agent;
  files = import ./files.nix { inherit lib cfg; };
  file = import ./config-file.nix { inherit lib pkgs; inherit (cfg) package; inherit (files) settings; };

  # What the agent's messages in the journal mean.
  catalog = "${cfg.package}/lib/systemd/catalog/infra-agent.catalog";

  inherit (import ./firewall.nix { inherit cfg; }) openPort;

  # systemd makes directories in its own places; elsewhere the agent does, once what they are on is mounted.
  inherit (cfg.settings) state_dir run_dir;
  # Who may scrape a unix socket: the agent may give it to a group that is its own.
  scrapers = lib.optional (cfg.settings.metrics.socket_group != "") cfg.settings.metrics.socket_group;
  within = place: path: lib.optional (lib.hasPrefix place path) (lib.removePrefix place path);
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    networking.firewall.allowedTCPPorts = lib.optional (cfg.metrics.openFirewall && openPort != null) openPort;
    environment.etc."infra-agent/config.toml".source = file;
    environment.etc."systemd/catalog/infra-agent.catalog".source = catalog;
    users.groups = builtins.listToAttrs (map (name: { inherit name; value = { }; }) ([ cfg.settings.control.group ] ++ scrapers));

    # journalctl -x reads a database of all catalogues, which must be made anew when one of them changes. Where that cannot be done,
    # messages lack their explanation, which is no reason to fail.
    systemd.services.infra-agent-catalog = {
      description = "Catalogue of infra-agent's messages for journalctl";
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ catalog ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "-${config.systemd.package}/bin/journalctl --update-catalog";
      };
    };

    systemd.services.infra-agent = {
      description = "GitOps pull agent";
      documentation = [ "https://github.com/infra-agent/infra-agent" ];
      wantedBy = [ "multi-user.target" ];
      # Not network-online.target: an agent without network must still judge and roll back.
      after = [ "network.target" ];
      # The agent never gives up: whoever could start it again is not there.
      startLimitIntervalSec = 0;
      # A record that is not there yet would be taken for one that never was.
      unitConfig.RequiresMountsFor = [ state_dir run_dir ];
      # An agent that is taken off the node judges the first system without it, and ends then.
      unitConfig.X-StopOnRemoval = false;
      # A switch that the agent has begun replaces it at its end, in one step.
      stopIfChanged = false;
      # New settings need no restart. The agent sees them by itself, but not where /etc is an overlay (system.etc.overlay).
      reloadTriggers = [ file ];
      # But for these, which do not move under a deployment.
      restartTriggers = [ (builtins.toJSON { inherit (cfg.settings) state_dir run_dir metrics log control; }) ];

      path = [
        config.nix.package
        config.system.build.nixos-rebuild
        # Nix runs these for flake inputs of the kind git+https and git+ssh.
        pkgs.gitMinimal
        config.programs.ssh.package
      ];
      environment = config.networking.proxy.envVars // {
        # Builds belong to the daemon and its control group, and the store stays out of this unit's reach.
        NIX_REMOTE = "daemon";
        # The database of time zones, which maintenance windows name.
        ZONEINFO = "${pkgs.tzdata}/share/zoneinfo";
        # Nix's caches: root's home is read-only here.
        XDG_CACHE_HOME = "/var/cache/infra-agent";
      };

      serviceConfig = {
        Type = "notify";
        ExecStart = "${cfg.package}/bin/infra-agent run --config /etc/infra-agent/config.toml";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        WatchdogSec = 60;
        Restart = "always";
        RestartSec = 1;
        # The agent ends its own children and knows why they ended; what is left when it is gone is killed.
        KillMode = "mixed";
        # Whoever else is killed for memory: the agent must live to roll back.
        OOMPolicy = "continue";
        OOMScoreAdjust = -500;

        StateDirectory = within "/var/lib/" state_dir;
        StateDirectoryMode = "0700";
        CacheDirectory = "infra-agent";
        CacheDirectoryMode = "0700";
        RuntimeDirectory = within "/run/" run_dir;
        RuntimeDirectoryMode = "0755";
        RuntimeDirectoryPreserve = "restart";
        LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") files.credentials;
        # An agent that lives and says what it lacks is better than none: without this, a file that is missing keeps the unit from
        # starting. systemd.exec(5): it is the default where the file cannot be read.
        SetCredential = lib.mapAttrsToList (name: _: "${name}:\\n") files.credentials;

        # The group that may read the status owns what the agent makes; without capabilities it could not give it away.
        Group = cfg.settings.control.group;
        SupplementaryGroups = scrapers;
        UMask = "0077";

        # Whatever needs the run of the machine has a unit of its own: Nix, the switch, its pre-switch checks, checks of the
        # kind exec, drain commands. What is left looks, decides and asks systemd.
        CapabilityBoundingSet = "";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateMounts = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        RemoveIPC = true;
        RestrictAddressFamilies = [ "AF_UNIX" "AF_INET" "AF_INET6" ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallErrorNumber = "EPERM";
        SystemCallFilter = [ "@system-service" "~@privileged @resources" ]
          ++ lib.optional (scrapers != [ ]) "fchownat"; # to its own groups: it has no CAP_CHOWN
        # What is missing, and why:
        # - RootDirectory: it looks at the links of the machine itself, and talks to its sockets.
        # - DeviceAllow: what PrivateDevices leaves; the clock is read by systemd's own rule for ProtectClock.
        # - RestrictAddressFamilies without AF_UNIX: the bus, the journal, and its own socket.
        # - User, DynamicUser, PrivateUsers: only root may ask systemd for a switch without polkit, which a node may lack.
        # - ProtectSystem: where /etc is an overlay, a switch replaces it, and a private view of it would be stale.
        # - ProtectHostname: the agent would not see the hostname change, which is its identity.
        # - ProcSubset: the boot's id and the gateway are there.
        # - PrivateNetwork, IPAddressDeny: it polls remotes, and asks the targets of checks.
        # - MemoryMax: it needs 20 MB, and an agent that is killed cannot roll back.
      };
    };
  };
}
