# PostgreSQL, on a disk of its own: the registry checks that it is mounted.
{
  fleet.storage.data."/var/lib/postgresql" = "postgres";
  fleet.database.postgres = { enable = true; openFirewall = true; databases = [ "app" ]; clients = [ "192.0.2.0/24" ]; };
}
