# What cannot work together is refused when the system is evaluated, and what is likely a mistake is told.
{ config, lib, ... }:
let
  inherit (lib) hasPrefix removePrefix;
  cfg = config.services.infra-agent;
  files = import ./files.nix { inherit lib cfg; };

  # Other tools that switch this system. In observe mode they do, and the agent looks on.
  others = builtins.filter (option: lib.attrByPath (lib.splitString "." option) false config) [ "system.autoUpgrade.enable" "services.comin.enable" ];
  observes = cfg.settings.mode == "observe";
  alone = option: {
    assertion = observes;
    message = "services.infra-agent and ${option} would both switch this system: enable one of them, or set services.infra-agent.settings.mode = \"observe\".";
  };

  inherit (import ./firewall.nix { inherit cfg; }) openPort;

  isAbsolute = hasPrefix "/";
  inStore = hasPrefix "${builtins.storeDir}/";

  fileIsRight = file: [
    {
      assertion = isAbsolute file.path;
      message = "services.infra-agent: the ${file.name} is ${file.path}, which is no absolute path.";
    }
    {
      assertion = !(file.isSecret && inStore file.path);
      message = "services.infra-agent: the ${file.name} is in the Nix store, where every user can read it: ${file.path}. Keep it out, with sops-nix or agenix for example.";
    }
    {
      assertion = !(hasPrefix files.directory file.path) || files.credentials ? ${removePrefix files.directory file.path};
      message = "services.infra-agent: the ${file.name} is ${file.path}, but services.infra-agent.credentials has nothing of that name.";
    }
  ];

  credentialIsRight = name: [
    {
      assertion = builtins.match "[A-Za-z0-9_.-]+" name != null;
      message = "services.infra-agent.credentials: ${name} is no name of a file: use letters, digits and . _ -.";
    }
    {
      assertion = isAbsolute cfg.credentials.${name};
      message = "services.infra-agent.credentials.${name} is ${cfg.credentials.${name}}, which is no absolute path.";
    }
    {
      assertion = !(inStore cfg.credentials.${name});
      message = "services.infra-agent.credentials.${name} is in the Nix store, where every user can read it. Keep it out, with sops-nix or agenix for example.";
    }
  ];

  # The file system that a path is on: that of the longest mount point above it.
  mounts = lib.mapAttrsToList (_: fs: { where = fs.mountPoint; type = fs.fsType; }) config.fileSystems
    ++ map (mount: { inherit (mount) where; type = toString mount.type; }) config.systemd.mounts;
  isAbove = path: where: where == "/" || path == where || hasPrefix "${where}/" path;
  longer = a: b: if builtins.stringLength b.where > builtins.stringLength a.where then b else a;
  mountOf = path: builtins.foldl' longer { where = ""; type = ""; } (builtins.filter (mount: isAbove path mount.where) mounts);
  state = mountOf cfg.settings.state_dir;
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = builtins.compareVersions config.system.nixos.release "24.11" >= 0;
        message = "services.infra-agent needs NixOS 24.11 or newer, and this is ${config.system.nixos.release}: older ones lack the switch-to-configuration whose exit codes it reads.";
      }
      {
        assertion = config.system.switch.enable;
        message = "services.infra-agent switches this system: it needs system.switch.enable.";
      }
      {
        assertion = config.nix.enable;
        message = "services.infra-agent builds with Nix: it needs nix.enable.";
      }
      {
        assertion = cfg.settings.source.remotes != [ ];
        message = "services.infra-agent has nothing to follow: set services.infra-agent.settings.source.remotes.";
      }
      {
        assertion = !cfg.metrics.openFirewall || openPort != null;
        message = "services.infra-agent.metrics.openFirewall opens no port to others, since services.infra-agent.settings.metrics.listen is \"${cfg.settings.metrics.listen}\": write \":10119\".";
      }
    ]
    ++ map alone others
    ++ builtins.concatMap fileIsRight files.all
    ++ builtins.concatMap credentialIsRight (builtins.attrNames cfg.credentials);

    warnings = map (option: "services.infra-agent only observes what ${option} deploys: disable that, and set services.infra-agent.settings.mode = \"deploy\", to have it deploy itself.")
      (builtins.filter (_: observes) others)
    ++ lib.optional (builtins.elem state.type [ "tmpfs" "ramfs" ])
      ("services.infra-agent: ${cfg.settings.state_dir} is on ${state.where}, a ${state.type}, and lost at every boot: the node forgets what it "
        + "accepted, what failed and that it is suspended. Persist that directory, or set services.infra-agent.settings.state_dir to one that is.");
  };
}
