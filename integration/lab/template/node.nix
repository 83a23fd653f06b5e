# Makes a system of the lab's of a configuration of NixOS, with a server in place of each that a check of the registry asks.
{ config, lib, pkgs, ... }:
let
  inherit (builtins) concatStringsSep filter isAttrs listToAttrs map mapAttrs toJSON;
  lab = import ./fleet/system.nix;

  # What is asked in place of a service of nixpkgs, and how. The service's settings are in /etc, and restart it.
  servers = { openssh = "tcp 22"; nginx = "http 80"; unbound = "dns 53"; };
  on = filter (name: config.services.${name}.enable or false) (builtins.attrNames servers);
  for = of: listToAttrs (map (name: { inherit name; value = of name; }) on);
  settingsOf = name: pkgs.writeText "${name}.json" (toJSON config.services.${name});

  failed = map (a: a.message) (filter (a: !a.assertion) config.assertions);
  toplevel = lab.toplevel config.networking.hostName (lab.defaults // {
    units = mapAttrs (_: unit: unit.text) config.systemd.units;
    etc = config.environment.etc // (if config.networking.hostName == "" then { } else { hostname = config.networking.hostName; });
    packages = filter isAttrs config.environment.systemPackages; # the others are no more than a name
  });
in
{
  services.infra-agent = {
    package = lib.mkForce (lab.agent lab.defaults.agentVersion);
    settings = {
      source.interval = "5s";
      confirm = { settle = "0s"; window = "2s"; deadline = "25s"; targets = [ "10.99.0.1:80" "10.99.0.2:80" ]; };
      control.group = lib.mkForce "root";
    };
  };
  environment.etc = mapAttrs (_: file: { source = file; }) (listToAttrs (map (name: { name = "${name}.json"; value = settingsOf name; }) on));
  systemd.services = for (name: {
    description = "Stands for ${name}";
    wantedBy = [ "multi-user.target" ];
    restartTriggers = [ (settingsOf name) ];
    serviceConfig.ExecStart = "/usr/bin/python3 ${./server.py} ${servers.${name}}";
  });
  system.build.toplevel = lib.mkForce (if failed == [ ] then toplevel else throw "Failed assertions: ${concatStringsSep "; " failed}");
  system.build.images = lib.mkForce { digital-ocean = toplevel; openstack = toplevel; proxmox = toplevel; };
}
