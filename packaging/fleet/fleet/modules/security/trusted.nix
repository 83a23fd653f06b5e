# For a VM on one's own machine: a known password, and root without one.
{ config, lib, ... }:
let
  cfg = config.fleet.security.trusted;
in
{
  options.fleet.security.trusted.enable = lib.mkEnableOption "access by a password that everybody knows";

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !config.fleet.security.secure.enable;
        message = "fleet.security.trusted and fleet.security.secure exclude each other: one wants passwords, the other keys alone";
      }
    ];
    services.openssh = { enable = true; settings.PasswordAuthentication = true; };
    users.users.dev = { isNormalUser = true; extraGroups = [ "wheel" ]; initialPassword = "dev"; };
    security.sudo.wheelNeedsPassword = false;
  };
}
