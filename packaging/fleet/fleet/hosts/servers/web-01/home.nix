# Home Manager as a part of the system: its units are judged in a trial as any others.
{
  home-manager.useGlobalPkgs = true;
  home-manager.users.admin = { pkgs, ... }: {
    home.stateVersion = "25.11";
    home.packages = [ pkgs.eza pkgs.bottom ];
    programs.starship.enable = true;
  };
}
