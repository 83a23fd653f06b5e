# Stands for nixpkgs' lib: what the module uses of it, with the same results for the same input. It lets tests evaluate the
# module, and the lab build nodes from it, where nixpkgs is not at hand.
let
  inherit (builtins) all any attrNames attrValues concatLists concatMap concatStringsSep elem elemAt filter foldl' genList head
    isBool isFunction isInt isPath isString length listToAttrs match split stringLength substring tail toJSON;
  inherit (builtins) isAttrs isList mapAttrs;
in
rec {
  inherit any attrValues concatMap isAttrs isList mapAttrs;
  inherit concatStringsSep filter listToAttrs;

  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  hasSuffix = suffix: text: stringLength text >= stringLength suffix && substring (stringLength text - stringLength suffix) (-1) text == suffix;
  removeSuffix = suffix: text: if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  removePrefix = prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  splitString = separator: text: filter isString (split "[${separator}]" text); # a separator is one character here
  attrByPath = path: default: set:
    if path == [ ] then set
    else if set ? ${head path} then attrByPath (tail path) default set.${head path}
    else default;
  mapAttrsToList = f: set: attrValues (mapAttrs f set);
  filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));

  escapeShellArg = text: "'${concatStringsSep "'\\''" (splitString "'" text)}'";
  escapeShellArgs = texts: concatStringsSep " " (map escapeShellArg texts);

  literalExpression = text: { _type = "literalExpression"; inherit text; };
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: mkOption { type = types.bool; default = false; example = true; description = "Whether to enable ${what}."; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;

  show = concatStringsSep ".";
  typeOf = value: value._type or null;

  # Attribute sets with their conditions moved to their values, so that a condition may depend on another option.
  pushDown = definition:
    if typeOf definition == "if" then map (mapAttrs (_: mkIf definition.condition)) (pushDown definition.content)
    else [ definition ];

  # The values of an option's definitions, with their priorities; 100 is what a plain value has.
  discharge = definition:
    if typeOf definition == "if" then (if definition.condition then discharge definition.content else [ ])
    else if typeOf definition == "override" then map (d: d // { inherit (definition) priority; }) (discharge definition.content)
    else [{ priority = 100; value = definition; }];

  # The value of an option from its definitions; those of the strongest priority are merged.
  merge = path: type: definitions:
    let
      values = concatMap discharge definitions;
      strongest = foldl' (least: v: if v.priority < least then v.priority else least) 9999 values;
      kept = map (v: v.value) (filter (v: v.priority == strongest) values);
      wrong = filter (value: !type.check value) kept;
    in
    if wrong != [ ] then throw "A definition for option `${show path}' is not of type `${type.description}': ${toJSON (head wrong)}"
    else type.merge path kept;

  mergeOption = path: option: definitions:
    if concatMap discharge definitions != [ ] then merge path option.type definitions
    else if option ? default then merge path (option.type or types.raw) [ option.default ]
    else throw "The option `${show path}' was accessed but has no value defined. Try setting the option.";

  # The values of all options below path. What is no option goes to freeform, the type of such values, or is refused.
  mergeOptions = path: options: freeform: definitions:
    let
      pushed = concatMap pushDown definitions;
      at = name: concatMap (d: optional (d ? ${name}) d.${name}) pushed;
      # At the top of a system where anything may be set, conditions are not asked: they may depend on another value there.
      isUnknown = name: !options ? ${name} && (freeform != null && path == [ ] || concatMap discharge (at name) != [ ]);
      unknown = filter isUnknown (concatMap attrNames pushed);
      child = name: option:
        (if typeOf option == "option" then mergeOption (path ++ [ name ]) option
        else mergeOptions (path ++ [ name ]) option freeform) (at name);
      loose = name: { inherit name; value = merge (path ++ [ name ]) freeform (at name); };
    in
    if unknown != [ ] && freeform == null then throw "The option `${show (path ++ [ (head unknown) ])}' does not exist."
    else listToAttrs (map loose unknown) // mapAttrs child options;

  mergeDeclarations = foldl'
    (a: b: a // mapAttrs (name: value: if a ? ${name} then mergeDeclarations [ a.${name} value ] else value) b)
    { };

  # The options and the configuration of modules: paths, functions or sets.
  evalModules = { modules, specialArgs ? { }, prefix ? [ ] }:
    let
      node = module:
        let
          content = if isFunction module || isAttrs module then module else import module;
          set = if isFunction content then content ({ inherit config options; lib = import ./lib.nix; } // specialArgs) else content;
          explicit = any (name: set ? ${name}) [ "config" "options" "freeformType" ];
        in
        {
          key = set.key or (if isPath module then toString module else null);
          disabled = map (m: m.key or (toString m)) (set.disabledModules or [ ]);
          imports = map node (set.imports or [ ]);
          content = {
            options = set.options or { };
            config = if explicit then set.config or { } else removeAttrs set [ "imports" "disabledModules" "key" "_class" "_file" ];
            freeform = set.freeformType or null;
          };
        };
      below = concatMap (n: [ n ] ++ below n.imports);
      nodes = map node modules;
      disabled = concatMap (n: n.disabled) (below nodes);
      # Of modules with the same key the first counts, and none that is disabled.
      keep = foldl' (state: n:
        if elem n.key (state.seen ++ disabled) then state
        else
          let imported = keep (state // { seen = state.seen ++ optional (n.key != null) n.key; }) n.imports; in
          imported // { list = imported.list ++ [ n.content ]; });
      loaded = (keep { seen = [ ]; list = [ ]; } nodes).list;
      freeform = foldl' (found: m: if m.freeform != null then m.freeform else found) null loaded;
      options = mergeDeclarations (map (m: m.options) loaded);
      config = mergeOptions prefix options freeform (map (m: m.config) loaded);
    in
    { inherit config options; };

  types =
    let
      # One value; several definitions must agree.
      simple = description: check: {
        inherit description check;
        merge = path: values:
          if all (value: value == head values) values then head values
          else throw "The option `${show path}' has conflicting definition values.";
        getSubOptions = _: { };
      };
    in
    rec {
      bool = simple "boolean" isBool;
      int = simple "signed integer" isInt;
      ints.positive = simple "positive integer, meaning >0" (value: isInt value && value > 0);
      ints.between = low: high: simple "integer between ${toString low} and ${toString high} (both inclusive)"
        (value: isInt value && value >= low && value <= high);
      port = ints.between 0 65535 // { description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)"; };
      str = simple "string" isString;
      package = simple "package" (value: isString value || isAttrs value);
      path = package;
      raw = simple "raw value" (_: true);
      enum = words: simple "one of ${concatStringsSep ", " (map toJSON words)}" (value: elem value words);
      strMatching = pattern: simple "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);
      nullOr = type: type // {
        description = "null or ${if hasPrefix "list of " type.description then "(${type.description})" else type.description}";
        check = value: value == null || type.check value;
        merge = path: values: if head values == null then null else type.merge path values;
      };
      listOf = type: {
        description = "list of ${type.description}";
        check = isList;
        merge = path: values: genList (i: merge (path ++ [ "[${toString i}]" ]) type [ (elemAt (concatLists values) i) ])
          (length (concatLists values));
        getSubOptions = prefix: type.getSubOptions (prefix ++ [ "*" ]);
      };
      attrsOf = type: {
        description = "attribute set of ${type.description}";
        check = isAttrs;
        merge = path: values: mergeOptions path { } type values;
        getSubOptions = prefix: type.getSubOptions (prefix ++ [ "<name>" ]);
      };
      # Used as a freeform type alone, which here is that of each value.
      lazyAttrsOf = type: type;
      # Sets merge, lists add up, of other values there is one.
      anything = simple "anything" (_: true) // {
        merge = path: values:
          if all isAttrs values && typeOf (head values) == null && !(head values ? outPath) then (attrsOf anything).merge path values
          else if all isList values then concatLists values
          else raw.merge path values;
      };
      submodule = module: {
        description = "submodule";
        check = value: isAttrs value || isFunction value;
        merge = path: values: (evalModules { modules = [ module ] ++ map (value: if isAttrs value then { config = value; } else value) values; prefix = path; }).config;
        getSubOptions = prefix: (evalModules { modules = [ module ]; inherit prefix; }).options;
      };
    };
}
