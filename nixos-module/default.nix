# services.infra-agent: the agent on a NixOS node.
{
  _class = "nixos";
  imports = [
    ./options.nix
    ./assertions.nix
    ./service.nix
    ./socket.nix
  ];
}
