# Prometheus and Grafana, with the agent's rules and boards. The nodes' metrics are on their loopback: see docs/infra/monitoring.md.
{ config, inputs, lib, ... }:
let
  hasSecrets = builtins.pathExists ../secrets/monitoring.yaml;
in
{
  imports = [ inputs.infra-agent.nixosModules.monitoring ];

  services.prometheus = {
    enable = true;
    exporters.node = { enable = true; listenAddress = "127.0.0.1"; };
    scrapeConfigs = [ { job_name = "node"; static_configs = [ { targets = [ "127.0.0.1:9100" ]; } ]; } ];
  };
  services.grafana = {
    enable = true;
    provision.datasources.settings.datasources = [ { name = "Prometheus"; type = "prometheus"; url = "http://127.0.0.1:9090"; isDefault = true; } ];
  };

  # Made by "sops secrets/monitoring.yaml"; until then Grafana has the password that it has by default.
  sops.secrets.grafana-admin-password = lib.mkIf hasSecrets { sopsFile = ../secrets/monitoring.yaml; owner = "grafana"; };
  services.grafana.settings.security.admin_password = lib.mkIf hasSecrets "$__file{${config.sops.secrets.grafana-admin-password.path}}";

  services.infra-agent.monitoring = {
    enable = true;
    registry = ../modules/infrastructure/infrastructure.toml;
    head = { inherit (config.fleet.agent) branch url; };
  };
}
