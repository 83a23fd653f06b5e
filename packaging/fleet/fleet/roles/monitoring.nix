# Prometheus and Grafana, with the agent's rules and boards. The nodes' metrics are on their loopback: see docs/infra/monitoring.md.
{ config, inputs, ... }:
{
  imports = [ inputs.infra-agent.nixosModules.monitoring ];

  services.prometheus.enable = true;
  services.grafana.enable = true;
  services.infra-agent.monitoring = {
    enable = true;
    registry = ../modules/infrastructure/infrastructure.toml;
    head.url = config.fleet.agent.url;
  };
}
