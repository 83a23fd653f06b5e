# The agent on a node: package, unit and settings. This file stands where a fleet imports the project's NixOS module.
# The node's sandbox is off: the package is the binary that the lab put on the node under this version.
{ system, version }:
let
  package = derivation {
    inherit system;
    name = "infra-agent-${version}";
    builder = "/bin/sh";
    args = [ "-c" "/usr/bin/mkdir -p $out/bin && /usr/bin/cp /usr/local/lib/infra-agent-lab/${version}/infra-agent $out/bin/" ];
  };
in
if version == "none" then { units = { }; etc = { }; } else {
  etc."infra-agent/config.toml" = builtins.readFile ./config.toml;
  units."infra-agent.service" = ''
    [Unit]
    Description=GitOps pull agent
    StartLimitIntervalSec=0

    [Service]
    X-StopIfChanged=false
    Type=notify
    ExecStart=${package}/bin/infra-agent run --config /etc/infra-agent/config.toml
    Environment=PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
    Restart=always
    RestartSec=1s
    WatchdogSec=60
    StateDirectory=infra-agent
    RuntimeDirectory=infra-agent
    RuntimeDirectoryPreserve=restart

    [Install]
    WantedBy=multi-user.target
  '';
}
