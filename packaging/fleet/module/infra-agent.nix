# For a flake that is there already: import this file in a node's configuration, and give the flake the input
#
#   inputs.infra-agent.url = "github:infra-agent/infra-agent";
#
# handed to modules by specialArgs = { inherit inputs; }. Without a registry a node is the output that has its host name.
{ inputs, ... }:
{
  imports = [ inputs.infra-agent.nixosModules.default ];

  services.infra-agent = {
    enable = true;
    settings.source.remotes = [ { url = "https://git.example.org/fleet.git"; } ];
  };
}
