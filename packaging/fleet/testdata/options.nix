# The names at the top of NixOS's options, and of the templates' inputs, that the templates may set. An option that only some
# module of nixpkgs has which is not in every system, such as proxmox, is none of them.
[
  "assertions" "boot" "console" "containers" "disko" "documentation" "environment" "fileSystems" "fleet" "fonts" "hardware"
  "home-manager" "i18n" "image" "location" "networking" "nix" "nixpkgs" "powerManagement" "programs" "security" "services" "sops"
  "specialisation" "swapDevices" "system" "systemd" "time" "users" "virtualisation" "warnings" "xdg" "zramSwap"
]
