# The fleet's web page.
{
  fleet.services.statusPage = { enable = true; openFirewall = true; };
}
