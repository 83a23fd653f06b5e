# The disk as nixos-anywhere lays it out once. A later change here is no layout: a switch changes no partition table.
{
  disko.devices.disk.main = {
    device = "/dev/sda";
    type = "disk";
    content = {
      type = "gpt";
      partitions = {
        boot = { size = "1G"; type = "EF00"; content = { type = "filesystem"; format = "vfat"; mountpoint = "/boot"; mountOptions = [ "umask=0077" ]; }; };
        data = { size = "50G"; content = { type = "filesystem"; format = "ext4"; extraArgs = [ "-L" "postgres" ]; }; };
        root = { size = "100%"; content = { type = "filesystem"; format = "ext4"; mountpoint = "/"; }; };
      };
    };
  };
}
