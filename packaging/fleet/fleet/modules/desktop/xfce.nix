{ config, lib, ... }:
let
  cfg = config.fleet.desktop;
in
{
  options.fleet.desktop = {
    enable = lib.mkEnableOption "Xfce";
    user = lib.mkOption { type = lib.types.nullOr lib.types.str; default = null; description = "Who is logged in without being asked; null: nobody."; };
  };

  config = lib.mkIf cfg.enable {
    services.xserver = { enable = true; desktopManager.xfce.enable = true; };
    services.displayManager.autoLogin = lib.mkIf (cfg.user != null) { enable = true; inherit (cfg) user; };
  };
}
