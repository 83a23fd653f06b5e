# What every node has: the agent. cloud-init has named the machine; from its first deployment on, the registry does.
{ lib, node, ... }:
let
  kind = node.kind or "vm";
in
{
  fleet.agent.enable = true;
  fleet.virtualisation.guest.enable = lib.mkDefault (builtins.elem kind [ "vm" "cloud" ]);
  fleet.virtualisation.guest.uefi = lib.mkDefault (kind == "vm" || node.system or "" == "aarch64-linux"); # as the images are
  services.cloud-init.enable = lib.mkForce false;
  virtualisation.vmVariant.fleet.agent.enable = lib.mkForce false; # a VM to look at deploys nothing
}
