# The machine: put its /etc/nixos/configuration.nix here, and its hardware-configuration.nix beside it.
{ system.stateVersion = "25.11"; }
