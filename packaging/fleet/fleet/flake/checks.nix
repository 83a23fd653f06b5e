# nix flake check: the registry by its conventions. The nodes themselves are built by CI, one by one.
{ inputs, ... }:
{
  perSystem = { pkgs, system, ... }: {
    checks.registry = pkgs.runCommand "registry-check" { } ''
      ${inputs.infra-agent.packages.${system}.default}/bin/infra-agent registry check --strict ${../modules/infrastructure/infrastructure.toml}
      touch $out
    '';
  };
}
