# Images are no nodes: what boots from one has its name from cloud-init or the cloud's metadata, finds itself in the registry,
# and becomes that node by its first deployment. See docs/infra/images.md.
{ inputs, lib, ... }:
let
  image = system: modules: inputs.nixpkgs.lib.nixosSystem {
    specialArgs = { inherit inputs; node = { }; };
    modules = [ ../modules ../hosts/image/configuration.nix { nixpkgs.hostPlatform = system; } ] ++ modules;
  };
  proxmox = system: settings: modules: image system ([ { fleet.virtualisation.proxmox = { enable = true; } // settings; } ] ++ modules);
  templates = {
    proxmox-x86-optimized = proxmox "x86_64-linux" { machine = "q35"; disk = "scsi"; } [ ];
    proxmox-x86-legacy = proxmox "x86_64-linux" { machine = "pc"; disk = "virtio"; uefi = false; } [ ];
    proxmox-x86-builder = proxmox "x86_64-linux" { machine = "q35"; disk = "scsi"; } [ ../roles/remote-builder.nix ];
    proxmox-arm = proxmox "aarch64-linux" { machine = "virt"; disk = "scsi"; } [ ];
  };
  vm = inputs.nixpkgs.lib.nixosSystem {
    specialArgs = { inherit inputs; node = { }; };
    modules = [ ../modules ../hosts/local-vm/configuration.nix { nixpkgs.hostPlatform = "x86_64-linux"; } ];
  };
in
{
  # What bin/deploy-image sets after a restore: it asks "nix eval .#proxmoxSettings.NAME".
  flake.proxmoxSettings = lib.mapAttrs (_: system: { inherit (system.config.fleet.virtualisation.proxmox) disk machine uefi; }) templates;

  perSystem = { system, ... }:
    let of = lib.filterAttrs (_: configuration: configuration.config.nixpkgs.hostPlatform.system or configuration.config.nixpkgs.hostPlatform == system); in
    {
      packages = lib.mapAttrs (_: template: template.config.system.build.images.proxmox) (of templates)
        // lib.optionalAttrs (system == "x86_64-linux") {
          cloud-openstack = (image system [ { fleet.virtualisation.cloud.enable = true; } ]).config.system.build.images.openstack;
          # Its image module asks the metadata by itself.
          cloud-digital-ocean = (image system [ { fleet.hardware.qemuGuest.enable = true; } ]).config.system.build.images.digital-ocean;
          default = vm.config.system.build.vm; # nix run: its disk is ./nixos.qcow2
        };
    };
}
