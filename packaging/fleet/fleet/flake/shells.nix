# nix develop, nix develop .#rust …
{ inputs, lib, ... }:
{
  perSystem = { pkgs, system, ... }:
    let
      shell = packages: pkgs.mkShell { packages = [ pkgs.git ] ++ packages; };
      fleet = [ inputs.infra-agent.packages.${system}.default pkgs.jq pkgs.sops pkgs.age pkgs.ssh-to-age pkgs.nixos-anywhere ];
    in
    {
      devShells = lib.mapAttrs (_: shell) {
        default = fleet ++ [ pkgs.just ];
        nix = fleet ++ [ pkgs.nil pkgs.nixfmt pkgs.statix pkgs.deadnix ];
        mcp = fleet ++ [ pkgs.nodejs pkgs.uv ];
        rust = [ pkgs.cargo pkgs.rustc pkgs.clippy pkgs.rust-analyzer ];
        node = [ pkgs.nodejs pkgs.pnpm pkgs.typescript ];
        python = [ pkgs.python3 pkgs.uv pkgs.ruff ];
        go = [ pkgs.go pkgs.gopls pkgs.golangci-lint ];
        ai = [ pkgs.python3 pkgs.uv pkgs.ollama ];
      };
      formatter = pkgs.nixfmt-tree;
    };
}
