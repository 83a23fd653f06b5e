# Lists the typed options of services.infra-agent.settings as the agent names its keys: source.remotes[].url, checks.NAME.kind.
{ options ? (import ./eval.nix { }).options }:
let
  inherit (builtins) attrNames concatMap removeAttrs substring stringLength;

  suffix = type: if substring 0 7 type.description == "list of" then "[]." else ".NAME.";

  walk = prefix: options: concatMap (name: visit (prefix + name) options.${name}) (attrNames (removeAttrs options [ "_module" ]));
  visit = name: option:
    let below = option.type.getSubOptions [ ]; in
    if option._type or null != "option" then walk "${name}." option
    else if removeAttrs below [ "_module" ] != { } then walk (name + suffix option.type) below
    else [{
      inherit name;
      inherit (option) description;
      type = option.type.description;
      default = option.default or null;
      example = option ? example;
    }];
in
walk "" (options.services.infra-agent.settings.type.getSubOptions [ ])
