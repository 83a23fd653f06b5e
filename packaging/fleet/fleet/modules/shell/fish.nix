{ config, lib, pkgs, ... }:
let
  cfg = config.fleet.shell;
in
{
  options.fleet.shell.enable = lib.mkEnableOption "fish, and tools to look around with";

  config = lib.mkIf cfg.enable {
    programs.fish.enable = true;
    users.defaultUserShell = pkgs.fish;
    environment.systemPackages = [ pkgs.git pkgs.htop pkgs.ripgrep ];
  };
}
