# What every node has: the agent. cloud-init has named the machine; from its first deployment on, the registry does.
{ lib, ... }:
{
  fleet.agent.enable = true;
  fleet.hardware.qemuGuest.enable = lib.mkDefault true;
  services.cloud-init.enable = lib.mkForce false;
}
