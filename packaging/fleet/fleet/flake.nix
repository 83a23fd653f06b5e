{
  description = "A fleet of NixOS machines that deploys itself: push to main, and every node follows";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
    flake-parts.url = "github:hercules-ci/flake-parts";
    flake-parts.inputs.nixpkgs-lib.follows = "nixpkgs";
    infra-agent.url = "github:infra-agent/infra-agent"; # without follows: it needs a newer Go than a stable nixpkgs may have
    disko.url = "github:nix-community/disko";
    disko.inputs.nixpkgs.follows = "nixpkgs";
    home-manager.url = "github:nix-community/home-manager/release-25.11";
    home-manager.inputs.nixpkgs.follows = "nixpkgs";
    sops-nix.url = "github:Mic92/sops-nix";
    sops-nix.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs = inputs: inputs.flake-parts.lib.mkFlake { inherit inputs; } {
    systems = [ "x86_64-linux" "aarch64-linux" ];
    imports = [ ./flake/modules.nix ./flake/nodes.nix ./flake/images.nix ./flake/packages.nix ./flake/shells.nix ./flake/checks.nix ];
  };
}
