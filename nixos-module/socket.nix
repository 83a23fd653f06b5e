# systemd listens for scrapes in the place of the agent, which it hands the socket: it stays open while the agent starts again, so that
# a scrape waits for it and is not refused.
{ config, lib, ... }:
let
  cfg = config.services.infra-agent;
  inherit (cfg.settings.metrics) listen socket_group;
  isPath = lib.hasPrefix "/" listen;
  # A running socket cannot be moved: another address is another unit, which a switch starts in the place of the old one.
  name = "infra-agent-metrics-${builtins.replaceStrings [ "/" ":" "." "[" "]" ] [ "-" "-" "-" "" "" ] (lib.removePrefix "/" (lib.removePrefix ":" listen))}";
in
{
  config = lib.mkIf (cfg.enable && cfg.metrics.socketActivation) {
    assertions = [
      {
        assertion = isPath || builtins.match "([0-9.]+|\\[[0-9a-fA-F:]+])?:[0-9]+" listen != null;
        message = "services.infra-agent.metrics.socketActivation: systemd listens on addresses and paths only, and services.infra-agent.settings.metrics.listen is \"${listen}\": write \"127.0.0.1:10119\", \":10119\" or an absolute path.";
      }
    ];
    systemd.sockets.${name} = {
      description = "Metrics of infra-agent";
      wantedBy = [ "sockets.target" ];
      socketConfig = {
        ListenStream = lib.removePrefix ":" listen;
        # The agent has no Sockets=, nor this its name: a switch would take it for a service that only a scrape has to start.
        Service = "infra-agent.service";
      } // lib.optionalAttrs isPath ({ SocketMode = if socket_group == "" then "0600" else "0660"; }
        // lib.optionalAttrs (socket_group != "") { SocketGroup = socket_group; });
    };
    # systemd starts no socket whose service runs. Where the agent is started again it is in between.
    systemd.services.infra-agent.wants = [ "${name}.socket" ];
  };
}
