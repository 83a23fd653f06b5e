# What the flake exports as lib: the registry for flakes. Plain Nix, without nixpkgs.
#
#   toRegistry    makes of a fleet's own attribute sets the registry that the agent reads (infraAgent.registry)
#   fromRegistry  makes nixosConfigurations of the registry, so that one TOML file drives both sides
#   rolesOf       the roles of a node as the agent sees them, the weakest first
let
  inherit (builtins)
    attrNames baseNameOf concatMap concatStringsSep dirOf elem elemAt filter foldl' fromTOML head intersectAttrs isAttrs isFunction isList
    isPath isString listToAttrs mapAttrs match pathExists readFile;

  filterAttrs = keep: set: listToAttrs (concatMap (name: if keep set.${name} then [ { inherit name; value = set.${name}; } ] else [ ]) (attrNames set));
  load = registry: if isAttrs registry then registry else fromTOML (readFile registry);

  # The fields of a node, a role and a proxy that may be passed on. What else a fleet keeps there is its own.
  fields = names: listToAttrs (map (name: { inherit name; value = null; }) names);
  ofNode = fields [
    "address" "aliases" "branch" "checks" "configuration" "depends_on" "environment" "ephemeral" "hold" "hostname" "kind" "managed" "meta"
    "naming" "pin" "proxied" "proxy" "reason" "reboot" "roles" "rollback" "system" "tags" "user" "vmid" "vmid_reason" "wave" "window"
  ];
  ofProxy = fields [ "port" "protocol" "ssl" "subdomains" "websockets" ];
  known = names: set: filterAttrs (v: v != null) (intersectAttrs names set);

  # The name of a role: a string, roles/NAME.nix, roles/NAME/, or a module of flake-parts, which knows the output it came from.
  roleName = node: role:
    let
      file = if isAttrs role then toString (role._file or "") else if isPath role then toString role else "";
      output = match ".*#nixosModules[.](role-)?([^.]+)" file;
      base = baseNameOf (if baseNameOf file == "default.nix" then dirOf file else file);
      nix = match "(.*)[.]nix" base;
    in
    if isString role then role
    else if output != null then elemAt output 1
    else if isPath role then if nix != null then head nix else base
    else throw "infra-agent: a role of node ${node} has no name: give a string, a path, or a module of flake.nixosModules";

  toNode = name: node:
    let proxy = node.proxy or null; in
    known ofNode node
    // (if node ? host && !(node ? address) && node.host != null then { address = node.host; } else { })
    // (if isAttrs proxy then { proxy = known ofProxy proxy; } else { })
    // { roles = if (node.managed or true) == false then [ ] else map (roleName name) (node.roles or [ ]); }; # no agent is there: rule R005

  rolesOf = registry: node:
    let
      roles = registry.roles or { };
      own = node.roles or [ ];
      implied = filter (role: (roles.${role}.implied or false) && !elem role own) (attrNames roles);
      # What a role implies comes before it; `seen` ends circles.
      add = state: role:
        if elem role state.seen then state
        else
          let below = foldl' add { seen = state.seen ++ [ role ]; inherit (state) list; } (roles.${role}.implies or [ ]); in
          below // { list = below.list ++ [ role ]; };
    in
    (foldl' add { seen = [ ]; list = [ ]; } (implied ++ own)).list;

  conflictsOf = registry: roles:
    concatMap (role: map (other: "${role} and ${other}") (filter (other: other != role && elem other roles) ((registry.roles or { }).${role}.conflicts or [ ]))) roles;
in
{
  inherit rolesOf;

  # toRegistry { nodes; roles ? { }; fleet ? { }; waves ? { }; }
  toRegistry = { nodes, roles ? { }, fleet ? { }, waves ? { } }: {
    schema = 1;
    inherit fleet roles waves;
    nodes = mapAttrs toNode nodes;
  };

  # fromRegistry { registry = ./infrastructure.toml; roles = self.nixosModules or ./roles; inherit (nixpkgs.lib) nixosSystem; }
  #
  # One configuration for each managed node and template. A role NAME is the module roles.NAME, roles.role-NAME, or NAME.nix or NAME/
  # of the directory roles; one without a module has a table [roles.NAME], and only carries checks, secrets and conflicts. `modules`
  # come after the roles: a list, or a function of { name, node, roles }. Host name and platform are those of the registry unless a
  # module says otherwise.
  fromRegistry = { registry, roles ? { }, nixosSystem, modules ? [ ], specialArgs ? { } }:
    let
      fleet = load registry;
      modulesOf = role:
        if isAttrs roles && !(roles ? outPath)
        then (if roles ? ${role} then [ roles.${role} ] else if roles ? "role-${role}" then [ roles."role-${role}" ] else [ ])
        else if pathExists (roles + "/${role}.nix") then [ (roles + "/${role}.nix") ]
        else if pathExists (roles + "/${role}/default.nix") then [ (roles + "/${role}") ]
        else [ ];
      # Most likely misspelled: the node would lack what the role was to bring.
      isUnknown = role: modulesOf role == [ ] && !((fleet.roles or { }) ? ${role});
      configure = name: node:
        let
          of = rolesOf fleet node;
          conflicts = conflictsOf fleet of;
          unknown = filter isUnknown of;
          more = if isFunction modules then modules { inherit name node; roles = of; } else modules;
          identity = { lib, ... }: {
            _file = "infrastructure.toml, node ${name}";
            networking.hostName = lib.mkDefault (node.hostname or name);
            nixpkgs.hostPlatform = lib.mkIf (node ? system) (lib.mkDefault node.system);
          };
        in
        if conflicts != [ ] then throw "infra-agent: node ${name} has the roles ${concatStringsSep ", " conflicts}, which conflict"
        else if unknown != [ ] then throw "infra-agent: node ${name} has the role ${head unknown}, which has neither a module nor a table [roles.${head unknown}] in the registry"
        else nixosSystem {
          specialArgs = specialArgs // { inherit node; registry = fleet; };
          modules = concatMap modulesOf of ++ [ identity ] ++ (if isList more then more else [ more ]);
        };
      configured = filterAttrs (node: node.managed or true) (fleet.nodes or { });
    in
    listToAttrs (map (name: { name = configured.${name}.configuration or name; value = configure name configured.${name}; }) (attrNames configured));
}
