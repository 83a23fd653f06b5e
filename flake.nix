{
  description = "GitOps pull agent for NixOS that proves each system healthy, or puts the node back";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable"; # has Go 1.26

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAllSystems = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      # A version for each commit.
      commit.infra-agent-commit = self.shortRev or self.dirtyShortRev or "";
      packageOf = pkgs: self.packages.${pkgs.stdenv.hostPlatform.system}.infra-agent;
    in
    {
      packages = forAllSystems (pkgs: rec {
        infra-agent = pkgs.callPackage ./packaging/package.nix commit;
        default = infra-agent;
      });

      overlays.default = final: _: { infra-agent = final.callPackage ./packaging/package.nix commit; };

      # toRegistry, fromRegistry, rolesOf.
      lib = import ./nixos-module/lib.nix;

      nixosModules = rec {
        # With the package of this flake, and so with this flake's nixpkgs: the node's own may have an older Go. A set with a key, so
        # that it may be imported twice, and be named in disabledModules.
        infra-agent = {
          _class = "nixos";
          _file = "${toString ./flake.nix}#nixosModules.infra-agent";
          key = "github:infra-agent/infra-agent#nixosModules.infra-agent";
          imports = [
            ./nixos-module
            ({ lib, pkgs, ... }: { services.infra-agent.package = lib.mkDefault (packageOf pkgs); })
          ];
        };
        default = infra-agent;

        # For the host of the fleet's Prometheus and Grafana, with an agent on it or not.
        monitoring = {
          _class = "nixos";
          _file = "${toString ./flake.nix}#nixosModules.monitoring";
          key = "github:infra-agent/infra-agent#nixosModules.monitoring";
          imports = [
            ./nixos-module/monitoring.nix
            ({ lib, pkgs, ... }: { services.infra-agent.monitoring.package = lib.mkDefault (packageOf pkgs); })
          ];
        };
      };

      # nix flake init -t github:infra-agent/infra-agent#fleet
      templates = rec {
        fleet = { path = ./packaging/fleet/fleet; description = "A fleet with a registry, roles, images, CI and how-tos"; };
        minimal = { path = ./packaging/fleet/minimal; description = "One machine that deploys itself"; };
        module = { path = ./packaging/fleet/module; description = "The module for a flake that is there already"; };
        default = minimal;
      };

      # The package, and a system with the module. `vm` plays it on NixOS's own test driver, with a real boot loader: it needs KVM.
      checks = forAllSystems (pkgs:
        let
          node = nixpkgs.lib.nixosSystem {
            modules = [
              self.nixosModules.default
              {
                nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
                system.stateVersion = "25.11";
                services.infra-agent = {
                  enable = true;
                  settings.source.remotes = [ { url = "https://git.example.org/fleet.git"; } ];
                };
              }
            ];
          };
          failed = map (a: a.message) (builtins.filter (a: !a.assertion) node.config.assertions);
          # Only a whole system looks at its assertions, and this is none: it has no root.
          ofNode = value: if ours == [ ] then value else throw (builtins.concatStringsSep "\n" ours);
          ours = builtins.filter (message: builtins.match ".*services.infra-agent.*" message != null) failed;
        in
        {
          package = packageOf pkgs;
          settings = ofNode node.config.environment.etc."infra-agent/config.toml".source;
          unit = ofNode node.config.systemd.units."infra-agent.service".unit;
        } // nixpkgs.lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
          vm = pkgs.testers.runNixOSTest (import ./nixos-module/vm-test.nix { module = self.nixosModules.default; });
        });

      # For Nix files; gofumpt (make lint) has the Go files.
      formatter = forAllSystems (pkgs: pkgs.nixfmt-tree);

      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          packages = [ pkgs.go pkgs.gnumake pkgs.gofumpt pkgs.golangci-lint pkgs.prometheus.cli ];
        };
      });
    };
}
