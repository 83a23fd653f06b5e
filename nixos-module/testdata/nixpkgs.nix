# Stands for the flake nixpkgs, of which this project's flake takes packages, and systems made of modules.
let
  lib = import ./lib.nix;
  genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);

  # What every system sets.
  machine = {
    options.nixpkgs.hostPlatform = lib.mkOption { type = lib.types.str; };
    options.system.stateVersion = lib.mkOption { type = lib.types.str; };
  };
in
{
  lib = {
    inherit genAttrs;
    optionalAttrs = condition: set: if condition then set else { };
    nixosSystem = { modules }: lib.evalModules {
      specialArgs.pkgs = import ./pkgs.nix { system = "x86_64-linux"; };
      modules = [ ./nixos.nix machine ] ++ modules;
    };
  };
  legacyPackages = genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: import ./pkgs.nix { inherit system; } // {
    callPackage = path: _: "/${system}/${baseNameOf path}";
    testers.runNixOSTest = test: test;
    stdenv.hostPlatform = { inherit system; };
    mkShell = shell: shell;
    nixfmt-tree = "/usr";
  });
}
