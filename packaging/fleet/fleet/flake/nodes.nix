# Every managed node of the registry is an output of that name: its roles, its host's directory, the fleet's modules.
{ inputs, lib, ... }:
{
  flake.nixosConfigurations = inputs.infra-agent.lib.fromRegistry {
    registry = ../modules/infrastructure/infrastructure.toml;
    roles = ../roles;
    inherit (inputs.nixpkgs.lib) nixosSystem;
    specialArgs = { inherit inputs; };
    modules = { name, ... }:
      let host = ../hosts/servers + "/${name}"; in
      [ ../modules ../profiles/server.nix ]
      ++ map (file: host + "/${file}") (lib.filter (file: builtins.pathExists (host + "/${file}")) [ "configuration.nix" "disko.nix" "home.nix" ]);
  };
}
