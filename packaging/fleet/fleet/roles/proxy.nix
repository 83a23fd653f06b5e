# Before the web servers: whom it serves, the registry says.
{
  fleet.networking.proxy = { enable = true; openFirewall = true; };
}
