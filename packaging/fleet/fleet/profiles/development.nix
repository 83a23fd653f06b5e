# For a VM on one's own machine.
{
  fleet.desktop = { enable = true; user = "dev"; };
  fleet.networking.enable = true;
  fleet.security.trusted.enable = true;
  fleet.shell.enable = true;
}
