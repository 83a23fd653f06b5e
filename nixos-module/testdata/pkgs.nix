# Stands for nixpkgs' pkgs: the builders that the module uses, of /bin/sh and the programs of the machine.
{ system }:
let
  lib = import ./lib.nix;
  inherit (builtins) attrNames concatStringsSep filter isAttrs isList toJSON toString;

  # TOML, with a header for each table. A string of JSON is one of TOML too.
  toTOML = path: table:
    let
      isTable = name: isAttrs table.${name};
      values = map (name: "${toJSON name} = ${toValue table.${name}}\n") (filter (name: !isTable name) (attrNames table));
      tables = map (name: toTOML (path ++ [ (toJSON name) ]) table.${name}) (filter isTable (attrNames table));
      header = if path == [ ] then "" else "[${concatStringsSep "." path}]\n";
    in
    header + concatStringsSep "" (values ++ tables);
  toValue = value:
    if isAttrs value && !(value ? outPath) then "{ ${concatStringsSep ", " (map (name: "${toJSON name} = ${toValue value.${name}}") (attrNames value))} }"
    else if isList value then "[${concatStringsSep ", " (map toValue value)}]"
    else toJSON value;
in
rec {
  stdenv.hostPlatform = { inherit system; };
  stdenv.buildPlatform.canExecute = host: host.system == system;

  # The machine's programs stand for packages.
  coreutils = "/usr";
  gitMinimal = "/usr";
  tzdata = "/usr";

  runCommand = name: attributes: script: derivation ({
    inherit name system;
    builder = "/bin/sh";
    args = [ "-euc" script ];
    PATH = "/run/current-system/sw/bin:/usr/bin:/bin";
  } // attributes);

  writeText = name: text: runCommand name { inherit text; } ''printf %s "$text" >$out'';

  formats.toml = { }: {
    type = lib.types.anything;
    generate = name: value: writeText name (toTOML [ ] value);
  };
}
