# How the options of settings.nix are made: by the type of a key, its default, an example and its description.
{ lib, toml }:
let
  inherit (lib) mkOption types;

  option = type: default: example: description: mkOption { inherit type default example description; };
  described = description: pattern: types.strMatching pattern // { inherit description; };
in
rec {
  inherit option;
  required = type: example: description: mkOption { inherit type example description; };
  optional = type: option (types.nullOr type) null; # what is not set is not written

  bool = types.bool;
  integer = types.ints.positive;
  status = types.ints.between 100 599;
  string = types.str; # paths too: Nix would copy a path into its store
  list = types.listOf types.str;
  table = types.attrsOf types.str;
  word = types.enum;
  duration = described "duration: numbers with the units h, m, s or ms, such as \"90s\" or \"1h30m\"" "([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+";
  size = described "size: a whole number with the unit B, KiB, MiB, GiB or TiB, such as \"256MiB\"" "0*[1-9][0-9]* *([KMGT]i)?B";
  group = described "name of a group" "[^: \t\n/]+";
  maybeGroup = described "name of a group, or empty" "[^: \t\n/]*";

  # What is no option here goes into the file as it is, for the agent to refuse with a hint.
  open = options: { freeformType = toml.type; inherit options; };
  tables = options: types.attrsOf (types.submodule (open options));
  lists = options: types.listOf (types.submodule (open options));
}
