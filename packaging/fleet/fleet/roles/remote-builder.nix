# Builds for the other nodes, and for ARM by emulation: slow, but enough until there is a builder of its own.
{ pkgs, ... }:
{
  users.users.builder = { isSystemUser = true; group = "builder"; useDefaultShell = true; openssh.authorizedKeys.keyFiles = [ ../secrets/builder.pub ]; };
  users.groups.builder = { };
  nix.settings = { trusted-users = [ "builder" ]; max-jobs = "auto"; };
  boot.binfmt.emulatedSystems = if pkgs.stdenv.hostPlatform.system == "x86_64-linux" then [ "aarch64-linux" ] else [ ];
}
