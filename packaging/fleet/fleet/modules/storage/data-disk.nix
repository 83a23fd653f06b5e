# Disks for data, mounted by label: fleet.storage.data."/var/lib/postgresql" = "postgres";
{ config, lib, ... }:
{
  options.fleet.storage.data = lib.mkOption {
    type = lib.types.attrsOf lib.types.str;
    default = { };
    description = "Labels of file systems, by where they are mounted. A disk that is missing keeps no machine from booting.";
  };

  config.fileSystems = lib.mapAttrs (_: label: {
    device = "/dev/disk/by-label/${label}";
    fsType = "ext4";
    options = [ "nofail" "x-systemd.device-timeout=30s" ];
  }) config.fleet.storage.data;
}
