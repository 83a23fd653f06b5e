# Builds each node's system from the registry and its roles, as a NixOS fleet does.
# A toplevel depends on what is in it and not on the commit, unless a role sets configurationRevision.
{ self }:
let
  inherit (builtins) attrNames concatStringsSep filter foldl' fromTOML head mapAttrs match readFile;

  system = "x86_64-linux";
  registry = fromTOML (readFile ./infrastructure.toml);

  # What a role may set. `units` and `etc` (both name -> text; of a file in etc also { source = …; }) and `packages` (whose
  # programs are in sw/bin) add up; of the rest, the last role's value holds.
  defaults = {
    units = { };
    etc = { };
    packages = [ ];
    agentVersion = head (match "([^\n]*)\n*" (readFile ./agent-version)); # "none": no agent
    buildFails = false;
    buildSeconds = 0;
    activateExit = 0;
    initInterface = "systemd 2"; # another one makes a switch exit 100
    inhibitors = { systemd = "257"; }; # another value of a key makes a switch exit 1 at the pre-switch check
    kernel = "6.12.1";
    systemd = "257.13";
    configurationRevision = null;
  };

  isImplied = role: (registry.roles.${role} or { }).implied or false;
  rolesOf = node: filter isImplied (attrNames (registry.roles or { })) ++ (node.roles or [ ]);

  checked = role: settings:
    let unknown = filter (key: !(defaults ? ${key})) (attrNames settings); in
    if unknown == [ ] then settings
    else throw "roles/${role}.nix: unknown setting ${concatStringsSep ", " unknown}";

  merge = a: b: a // b // {
    units = a.units or { } // b.units or { };
    etc = a.etc or { } // b.etc or { };
    packages = a.packages or [ ] ++ b.packages or [ ];
  };

  compose = node:
    let
      ofRole = role: checked role (import (./roles + "/${role}.nix") { inherit node registry self; });
      roles = foldl' merge defaults (map ofRole (rolesOf node));
      agent = import ./agent.nix { inherit system; version = roles.agentVersion; };
    in
    merge agent roles; # a role may replace the agent's unit or settings

  # Stands for a package of which only the identity matters: another version is another store path.
  component = name: version: file: derivation {
    inherit system;
    name = "${name}-${version}";
    builder = "/bin/sh";
    args = [ "-c" "/usr/bin/mkdir -p $out/lib/modules/${version} && echo ${version} > $out/${file}" ];
  };

  toplevel = name: c: derivation {
    inherit system name;
    inherit (c) units etc packages buildFails buildSeconds activateExit initInterface inhibitors configurationRevision;
    __structuredAttrs = true;
    builder = "/usr/bin/python3";
    args = [ ./double/toplevel.py ];
    version = "25.11.lab";
    activate = ./double/activate.sh;
    switch = ./double/switch-to-configuration.py;
    linux = component "linux" c.kernel "bzImage";
    initrd = component "initrd-linux" c.kernel "initrd";
    systemd = component "systemd" c.systemd "version";
  };
in
{
  nixosConfigurations = mapAttrs
    (name: node: {
      config.system.build.toplevel = toplevel "nixos-system-${name}-25.11.lab" (compose (node // { inherit name; }));
    })
    registry.nodes;
}
