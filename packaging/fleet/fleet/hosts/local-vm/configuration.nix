# nix run: a machine to look at, with a password that everybody knows, and without the agent.
{
  imports = [ ../../profiles/development.nix ];

  system.stateVersion = "25.11";
  networking.hostName = "local-vm";
  virtualisation.vmVariant.virtualisation = { memorySize = 2048; cores = 2; diskImage = "./nixos.qcow2"; };
}
