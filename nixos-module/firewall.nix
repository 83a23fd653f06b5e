# The port at which other hosts can reach the metrics; null: there is none.
{ cfg }:
let
  port = builtins.match "(.*):([0-9]+)" cfg.settings.metrics.listen;
  host = builtins.head port;
in
{
  openPort =
    if port == null || builtins.match "127\\..*|\\[::1]|localhost" host != null then null
    else builtins.fromJSON (builtins.elemAt port 1);
}
