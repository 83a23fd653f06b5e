{ config, lib, pkgs, ... }:
let
  cfg = config.services.infra-agent;
  file = import ./config-file.nix { inherit lib pkgs; inherit (cfg) package settings; };
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."infra-agent/config.toml".source = file;
    users.groups.${cfg.settings.control.group} = { };

    systemd.services.infra-agent = {
      description = "GitOps pull agent";
      documentation = [ "https://github.com/infra-agent/infra-agent" ];
      wantedBy = [ "multi-user.target" ];
      # Not network-online.target: an agent without network must still judge and roll back.
      after = [ "network.target" ];
      # The agent never gives up: whoever could start it again is not there.
      startLimitIntervalSec = 0;
      # A switch that the agent has begun replaces it at its end, in one step.
      stopIfChanged = false;
      # New settings need no restart. The agent sees them by itself, but not where /etc is an overlay (system.etc.overlay).
      reloadTriggers = [ file ];

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
        # An evaluation that runs out of memory is a failed evaluation, not a failed agent.
        OOMPolicy = "continue";

        StateDirectory = "infra-agent";
        StateDirectoryMode = "0700";
        CacheDirectory = "infra-agent";
        CacheDirectoryMode = "0700";
        RuntimeDirectory = "infra-agent";
        RuntimeDirectoryMode = "0755";
        RuntimeDirectoryPreserve = "restart";
        LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") cfg.credentials;

        UMask = "0077";
        LockPersonality = true;
        ProtectControlGroups = true;
        ProtectHome = "read-only";
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        RestrictRealtime = true;
        SystemCallArchitectures = "native";
        # What is missing, and why:
        # - OOMScoreAdjust: evaluations inherit it, and would outlive the services of the node.
        # - MemoryMax: an evaluation of NixOS needs what it needs.
        # - ProtectHostname: the agent would not see the hostname change, which is its identity.
        # - ProtectSystem: where /etc is an overlay, a switch replaces it, and a private view of it would be stale.
        # - NoNewPrivileges, PrivateDevices, ProtectClock (which closes devices too), PrivateTmp: checks of the kind exec and
        #   the new system's pre-switch checks run in this unit; they may need sudo, /dev/zfs or a socket in /tmp.
      };
    };
  };
}
