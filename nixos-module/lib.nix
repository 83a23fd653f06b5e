# What the flake exports as lib: the registry for flakes. Plain Nix, without nixpkgs.
#
#   toRegistry    makes of a fleet's own attribute sets the registry that the agent reads (infraAgent.registry)
#   fromRegistry  makes nixosConfigurations of the registry, so that one TOML file drives both sides
#   rolesOf       the roles of a node as the agent sees them, the weakest first
let
  inherit (builtins)
    all attrNames attrValues baseNameOf concatMap concatStringsSep dirOf elem elemAt filter foldl' fromTOML groupBy head intersectAttrs
    isAttrs isBool isFunction isInt isList isPath isString length listToAttrs mapAttrs match pathExists readFile stringLength substring;

  filterAttrs = keep: set: listToAttrs (concatMap (name: if keep set.${name} then [ { inherit name; value = set.${name}; } ] else [ ]) (attrNames set));
  load = registry: if isAttrs registry then registry else fromTOML (readFile registry);

  # The fields of a node and a proxy that may be passed on. What else a fleet keeps there is its own, and so is what it keeps in a
  # field that only describes the node, in another form than the registry's. What decides about deployments is passed on
  # as it is: the agent says what is wrong with it.
  anything = _: true;
  ofNode = {
    address = isString;
    aliases = anything;
    branch = anything;
    checks = anything;
    configuration = anything;
    depends_on = anything;
    environment = isString;
    ephemeral = isBool;
    hold = anything;
    hostname = anything;
    kind = kind: elem kind [ "vm" "metal" "cloud" "template" "appliance" ];
    managed = anything;
    meta = anything;
    naming = anything;
    pin = anything;
    proxied = isBool;
    proxy = isAttrs;
    reason = anything;
    reboot = anything;
    retire = anything;
    roles = anything;
    rollback = anything;
    system = anything;
    tags = tags: isList tags && all isString tags;
    user = isString;
    vmid = isInt;
    vmid_reason = isString;
    wave = anything;
    window = anything;
  };
  ofProxy = { port = isInt; protocol = isString; ssl = isBool; subdomains = isList; websockets = isBool; };
  known = forms: set: filterAttrs (v: v != null) (listToAttrs (concatMap
    (name: if forms.${name} set.${name} then [ { inherit name; value = set.${name}; } ] else [ ])
    (attrNames (intersectAttrs forms set))));

  # Whether one letter more, less, replaced, or swapped with its neighbour makes a word of another.
  isLike = a: b:
    let
      alike = i: if i < stringLength a && substring i 1 a == substring i 1 b then alike (i + 1) else i;
      at = alike 0;
      rest = n: substring (at + n) (-1);
      swapped = substring (at + 1) 1 b + substring at 1 b;
    in
    a != b && (rest 1 a == rest 1 b || rest 1 a == rest 0 b || rest 0 a == rest 1 b || substring at 2 a == swapped && rest 2 a == rest 2 b);

  # The fields of a table that are so like one of the registry's that they would vanish by mistake.
  slips = within: forms: table: concatMap
    (field: map (meant: { field = within + field; meant = within + meant; })
      (filter (meant: !(table ? ${meant}) && isLike field meant) (attrNames forms)))
    (filter (field: !(forms ? ${field})) (attrNames table));

  # The name of a role: a string, roles/NAME.nix, roles/NAME/, or a module of flake-parts, which knows the output it came from:
  # flake.nixosModules.NAME or flake.modules.nixos.NAME.
  roleName = node: role:
    let
      file = if isAttrs role then toString (role._file or "") else if isPath role then toString role else "";
      output = match ".*#(nixosModules|modules[.]nixos)[.]\"?(role-)?([^\"]+)\"?" file;
      base = baseNameOf (if baseNameOf file == "default.nix" then dirOf file else file);
      nix = match "(.*)[.]nix" base;
    in
    if isString role then role
    else if output != null then elemAt output 2
    else if isPath role then if nix != null then head nix else base
    else throw "infra-agent: a role of node ${node} has no name: give a string, a path, or a module of flake.nixosModules";

  # The roles of a node that has an agent; elsewhere there are none: rule R005.
  rolesGiven = name: node:
    let roles = node.roles or null; in
    if (node.managed or true) == false || roles == null then [ ]
    else if isList roles then roles
    else throw "infra-agent: the roles of node ${name} are no list: write roles = [ ${if isString roles then "\"${roles}\"" else "…"} ]";

  toNode = name: node:
    let
      proxy = node.proxy or null;
      slipped = slips "" ofNode node ++ (if isAttrs proxy then slips "proxy." ofProxy proxy else [ ]);
      slip = head slipped;
    in
    if slipped != [ ] then
      throw "infra-agent: node ${name} has the field ${slip.field}, which is like ${slip.meant}: correct it; what is the fleet's own belongs into meta, or under a name that is less alike"
    else
      known ofNode node
      // (if node ? host && !(node ? address) && isString node.host then { address = node.host; } else { })
      // (if isAttrs proxy then { proxy = known ofProxy proxy; } else { })
      // { roles = map (roleName name) (rolesGiven name node); };

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
  #
  # A role that a node has as a module is defined by that.
  toRegistry = { nodes, roles ? { }, fleet ? { }, waves ? { } }:
    let
      modulesOf = name: filter (role: !isString role) (rolesGiven name nodes.${name});
      fromModules = concatMap (name: map (role: { name = roleName name role; value = { }; }) (modulesOf name)) (attrNames nodes);
    in
    {
      schema = 1;
      inherit fleet waves;
      roles = listToAttrs fromModules // roles;
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
      outputOf = name: configured.${name}.configuration or name;
      shared = filter (nodes: length nodes > 1) (attrValues (groupBy outputOf (attrNames configured)));
    in
    if shared != [ ] then
      throw "infra-agent: the nodes ${concatStringsSep ", " (head shared)} have one output, ${outputOf (head (head shared))}: fromRegistry makes one of each node, with its own name and roles; give each its own configuration, or none"
    else listToAttrs (map (name: { name = outputOf name; value = configure name configured.${name}; }) (attrNames configured));
}
