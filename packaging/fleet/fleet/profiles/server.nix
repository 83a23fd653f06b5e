# For machines that others can reach.
{ lib, ... }:
{
  fleet.networking.enable = lib.mkDefault true;
  fleet.security.secure.enable = lib.mkDefault true;
  fleet.security.secure.keys = lib.mkDefault [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIREPLACEMEREPLACEMEREPLACEMEREPLACEMEREPLACE admin" ];
  time.timeZone = lib.mkDefault "UTC";
}
