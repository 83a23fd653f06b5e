# The machine as it was, and the agent.
{
  imports = [ ./machine.nix ];

  services.openssh.enable = true;

  services.infra-agent = {
    enable = true;
    settings.source.remotes = [ { url = "https://git.example.org/fleet.git"; } ]; # this repository
  };
}
