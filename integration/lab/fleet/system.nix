# A system of the lab: like one of NixOS, from /bin/sh and Python. It depends on what is in it and not on the commit, unless
# configurationRevision is set.
let
  inherit (builtins) head match readFile;

  system = "x86_64-linux";

  # Stands for a package of which only the identity matters: another version is another store path.
  component = name: version: file: derivation {
    inherit system;
    name = "${name}-${version}";
    builder = "/bin/sh";
    args = [ "-c" "/usr/bin/mkdir -p $out/lib/modules/${version} && echo ${version} > $out/${file}" ];
  };
in
{
  # The binary that the lab put on the node under this version, as a package.
  agent = version: derivation {
    inherit system;
    name = "infra-agent-${version}";
    builder = "/bin/sh";
    args = [ "-c" "/usr/bin/mkdir -p $out/bin && /usr/bin/cp /usr/local/lib/infra-agent-lab/${version}/infra-agent $out/bin/" ];
  };

  # What may be set. `units` and `etc` are name -> text; of a file in etc also { source = …; }. The programs of `packages` are
  # in sw/bin.
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

  toplevel = node: c: derivation {
    inherit system;
    name = "nixos-system-${node}-25.11.lab";
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
}
