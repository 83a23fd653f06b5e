{
  description = "One NixOS machine that deploys itself: push to main, and it follows";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
  inputs.infra-agent.url = "github:infra-agent/infra-agent";

  outputs = { nixpkgs, infra-agent, ... }: {
    nixosConfigurations = infra-agent.lib.fromRegistry {
      registry = ./infrastructure.toml;
      inherit (nixpkgs.lib) nixosSystem;
      modules = [
        ./configuration.nix
        infra-agent.nixosModules.default
        {
          services.openssh.enable = true; # a check of the registry asks it
          services.infra-agent.enable = true;
          services.infra-agent.settings.source.remotes = [ { url = "https://git.example.org/fleet.git"; } ]; # this repository
        }
      ];
    };
  };
}
