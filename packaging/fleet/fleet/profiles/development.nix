# For a VM on one's own machine.
{
  fleet.networking.enable = true;
  fleet.security.trusted.enable = true;
  fleet.shell.enable = true;
}
