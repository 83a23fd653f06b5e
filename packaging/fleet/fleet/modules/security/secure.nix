# For machines that strangers can reach: keys only, and no user who becomes root without a password.
{ config, lib, ... }:
let
  cfg = config.fleet.security.secure;
in
{
  options.fleet.security.secure = {
    enable = lib.mkEnableOption "access by keys alone";
    keys = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; description = "Public keys of those who may log in as admin."; };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !config.fleet.security.trusted.enable;
        message = "fleet.security.secure and fleet.security.trusted exclude each other: one wants keys alone, the other passwords";
      }
    ];
    services.openssh = {
      enable = true;
      settings = { PasswordAuthentication = false; KbdInteractiveAuthentication = false; PermitRootLogin = lib.mkForce "no"; }; # images of nixpkgs allow keys
    };
    users.mutableUsers = false;
    users.users.admin = { isNormalUser = true; extraGroups = [ "wheel" ]; openssh.authorizedKeys.keys = cfg.keys; };
    users.users.root.initialPassword = lib.mkForce null; # nixpkgs' image for OpenStack has one that everybody knows
    security.sudo.wheelNeedsPassword = lib.mkDefault false; # who has a key has no password; root's own stays locked
    networking.firewall.enable = true;
  };
}
