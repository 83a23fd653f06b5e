{ inputs, ... }:
{
  perSystem = { pkgs, system, ... }: {
    packages = import ../packages { inherit pkgs; infra-agent = inputs.infra-agent.packages.${system}.default; };
  };
}
