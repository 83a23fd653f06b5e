# The agent on a NixOS machine with its own boot loader, on NixOS's test driver: what the stand-ins in testdata cannot show.
{ module }:
{
  name = "infra-agent";

  nodes.machine = { pkgs, ... }: {
    imports = [ module module ];
    virtualisation = { useBootLoader = true; useEFIBoot = true; };
    boot.loader.systemd-boot.enable = true;
    environment.systemPackages = [ pkgs.git ];
    users.users.reader = { isNormalUser = true; extraGroups = [ "infra-agent" ]; };
    services.infra-agent = {
      enable = true;
      settings.source.remotes = [ { url = "/srv/fleet"; } ];
      credentials.missing = "/run/secrets/none";
    };
  };

  testScript = ''
    machine.wait_for_unit("infra-agent.service")
    machine.succeed("infra-agent version", "man -w infra-agent", "infra-agent check")

    # the group may read the status, and others may not
    machine.succeed("su reader -c 'infra-agent status'")
    machine.fail("su nobody -s /bin/sh -c 'infra-agent status'")

    # it sees what the boot loader starts, and takes the system that runs for good
    machine.wait_until_succeeds("infra-agent status | grep -q 'running .*good'")
    machine.succeed("infra-agent doctor | grep 'ok    boot '")

    # a remote without a repository is a hold, and no reason to end
    machine.succeed("infra-agent sync")
    machine.wait_until_succeeds("infra-agent status | grep 'held  *source'")
    machine.succeed("test $(systemctl show --value --property NRestarts infra-agent) = 0")

    # and it is there again after a boot
    machine.shutdown()
    machine.start()
    machine.wait_for_unit("infra-agent.service")
    machine.wait_until_succeeds("infra-agent status | grep -q 'running .*good'")
  '';
}
