# services.infra-agent: the agent on a NixOS node.
{
  imports = [
    ./options.nix
    ./assertions.nix
    ./service.nix
  ];
}
