# Stands for NixOS: the options that the module sets or reads, and how a service becomes the text of a unit
# (nixos/lib/systemd-lib.nix: the same lines in the same order).
{ config, lib, pkgs, ... }:
let
  inherit (builtins) attrNames concatMap concatStringsSep isBool isList toJSON;
  inherit (lib) mkOption types;

  value = type: default: mkOption { inherit type default; };
  string = default: value types.str default;
  list = value (types.listOf types.raw) [ ];
  set = value (types.attrsOf types.raw) { };

  service = { config, ... }: {
    options = {
      description = string "";
      documentation = list;
      wantedBy = list;
      after = list;
      wants = list;
      script = string "";
      startLimitIntervalSec = mkOption { type = types.raw; default = null; };
      stopIfChanged = value types.bool true;
      reloadTriggers = list;
      restartTriggers = list;
      path = list;
      environment = set;
      unitConfig = set;
      serviceConfig = set;
    };
    config.environment.PATH =
      let packages = config.path ++ [ "/usr" ]; in # NixOS adds coreutils, findutils, gnugrep, gnused and systemd
      concatStringsSep ":" (map (p: "${p}/bin") packages ++ map (p: "${p}/sbin") packages);
    config.unitConfig = {
      After = concatStringsSep " " config.after;
      Description = config.description;
      Documentation = concatStringsSep " " config.documentation;
      X-Reload-Triggers = "${pkgs.writeText "X-Reload-Triggers" (concatStringsSep " " (map toString config.reloadTriggers))}";
      X-Restart-Triggers = "${pkgs.writeText "X-Restart-Triggers" (concatStringsSep " " (map toString config.restartTriggers))}";
    } // (if config.wants == [ ] then { } else { Wants = concatStringsSep " " config.wants; })
    // (if config.startLimitIntervalSec == null then { } else { StartLimitIntervalSec = config.startLimitIntervalSec; });
  };

  socket = {
    options = {
      description = string "";
      wantedBy = list;
      socketConfig = set;
    };
  };
  socketText = s: ''
    [Unit]
    Description=${s.description}

    [Socket]
    ${section s.socketConfig}
    [Install]
    WantedBy=${concatStringsSep " " s.wantedBy}
  '';

  unit = { config, ... }: {
    options.text = mkOption { type = types.str; };
    options.unit = mkOption { type = types.package; };
    config.unit = pkgs.writeText "unit" config.text;
  };

  line = name: value: "${name}=${if isBool value then (if value then "true" else "false") else toString value}\n";
  section = set: concatStringsSep "" (concatMap (name: map (line name) (if isList set.${name} then set.${name} else [ set.${name} ])) (attrNames set));
  environment = set: concatStringsSep "" (map (name: "Environment=${toJSON "${name}=${set.${name}}"}\n") (attrNames set));
  text = s: ''
    [Unit]
    ${section s.unitConfig}
    [Service]
    ${environment s.environment}${if s.stopIfChanged then "" else "X-StopIfChanged=false\n"}${section s.serviceConfig}
    [Install]
    WantedBy=${concatStringsSep " " s.wantedBy}
  '';
in
{
  options = {
    assertions = list;
    warnings = list;
    fileSystems = value (types.attrsOf (types.submodule { freeformType = types.anything; options.mountPoint = mkOption { type = types.str; }; options.fsType = string "auto"; })) { };
    systemd.mounts = list;
    environment.etc = value (types.attrsOf (types.submodule { options.source = mkOption { type = types.path; }; })) { };
    environment.systemPackages = list;
    networking.firewall.allowedTCPPorts = list;
    networking.proxy.envVars = set;
    nix.enable = value types.bool true;
    services.grafana.provision.enable = value types.bool false;
    services.grafana.provision.dashboards.settings.providers = list;
    services.prometheus.exporters.node = set;
    services.prometheus.ruleFiles = list;
    services.prometheus.scrapeConfigs = list;
    # A system's own profile stands for the packages that are in it.
    nix.package = string "/run/current-system/sw";
    programs.ssh.package = string "/usr";
    system.autoUpgrade.enable = value types.bool false;
    system.build = set;
    system.switch.enable = value types.bool true;
    system.nixos.release = string "24.11";
    systemd.timers = set;
    systemd.sockets = value (types.attrsOf (types.submodule socket)) { };
    systemd.tmpfiles.rules = list;
    systemd.package = string "/usr";
    systemd.services = value (types.attrsOf (types.submodule service)) { };
    systemd.units = value (types.attrsOf (types.submodule unit)) { };
    users.groups = set;
  };

  config.system.build.nixos-rebuild = "/run/current-system/sw";
  config.systemd.units = builtins.listToAttrs
    (map (name: { name = "${name}.service"; value.text = text config.systemd.services.${name}; }) (attrNames config.systemd.services)
    ++ map (name: { name = "${name}.socket"; value.text = socketText config.systemd.sockets.${name}; }) (attrNames config.systemd.sockets));
}
