# Resolver of the local network, which knows every node by name.
{ node, ... }:
{
  fleet.networking.resolver = {
    enable = true;
    openFirewall = true;
    listen = [ "127.0.0.1" node.address ];
    clients = [ "192.0.2.0/24" ];
  };
}
