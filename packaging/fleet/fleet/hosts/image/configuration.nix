# What every image and template starts with: the agent, and no name. cloud-init sets the host name; the agent finds the node of
# that name in the registry, and its first deployment makes the machine that node.
{ lib, ... }:
{
  imports = [ ../../profiles/server.nix ];

  system.stateVersion = "25.11";
  networking.hostName = lib.mkForce ""; # of cloud-init, or of the metadata
  fleet.agent.enable = true;
}
