# Runs containers: a table of virtualisation.oci-containers.containers for each, in the host's configuration or in a role of its own.
{
  fleet.virtualisation.containers.enable = true;
}
