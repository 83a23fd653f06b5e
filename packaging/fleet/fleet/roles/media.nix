# Jellyfin, with its library on a disk of its own.
{
  fleet.storage.data."/srv/media" = "media";
  fleet.media.jellyfin = { enable = true; openFirewall = true; };
}
