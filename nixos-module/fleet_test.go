//go:build integration

package nixosmodule

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fleet evaluates an expression in which flake is the fleet of packaging/fleet on stand-ins, or on nixpkgs' own lib where
// NIXPKGS_LIB names its directory.
func fleet(t testing.TB, expression string, result any) error {
	t.Helper()
	of := `{ flake = packaging + "/fleet/fleet"; }`
	if real := os.Getenv("NIXPKGS_LIB"); real != "" {
		of = `{ flake = packaging + "/fleet/fleet"; lib = import ` + real + `; }`
	}
	return evaluate(t, `let
		packaging = builtins.dirOf dir + "/packaging";
		flake = import (packaging + "/fleet/testdata/flake.nix") `+of+`;
		inherit (flake) outputs;
	in `+expression, result)
}

// What the template promises is there, under these names.
func TestTheFleetsOutputs(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `{
		nodes = builtins.attrNames outputs.nixosConfigurations;
		modules = builtins.attrNames outputs.nixosModules;
		packages = builtins.mapAttrs (_: builtins.attrNames) outputs.packages;
		shells = builtins.attrNames outputs.devShells.x86_64-linux;
		proxmox = outputs.proxmoxSettings;
		inherit (flake) missing;
	}`, &got))
	names := func(text string) []any {
		var all []any
		for _, name := range strings.Fields(text) {
			all = append(all, name)
		}
		return all
	}
	template := func(disk, machine string, uefi bool) map[string]any {
		return map[string]any{"disk": disk, "machine": machine, "uefi": uefi}
	}
	want := map[string]any{
		"nodes":   names("build-01 db-01 dns-01 dns-02 docker-01 media-01 mon-01 proxy-01 web-01"),
		"modules": names("fleet profile-development profile-server role-containers role-default role-dns role-media role-monitoring role-postgres role-proxy role-remote-builder role-web"),
		"packages": map[string]any{
			"x86_64-linux":  names("cloud-digital-ocean cloud-openstack default deploy-image docs proxmox-x86-builder proxmox-x86-legacy proxmox-x86-optimized"),
			"aarch64-linux": names("deploy-image docs proxmox-arm"),
		},
		"shells": names("ai default go mcp nix node python rust"),
		"proxmox": map[string]any{
			"proxmox-x86-optimized": template("scsi", "q35", true), "proxmox-x86-builder": template("scsi", "q35", true),
			"proxmox-x86-legacy": template("virtio", "pc", false), "proxmox-arm": template("scsi", "virt", true),
		},
		"missing": []any{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the fleet's outputs (-want +got):\n%s", diff)
	}
}

// Each node is what the registry and its roles make of it, and none has an assertion that fails.
func TestTheFleetsNodes(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `let of = name: outputs.nixosConfigurations.${name}.config; in {
		failed = builtins.mapAttrs (_: flake.failed) outputs.nixosConfigurations;
		names = builtins.mapAttrs (_: node: node.config.networking.hostName) outputs.nixosConfigurations;
		agents = builtins.all (node: node.config.services.infra-agent.enable) (builtins.attrValues outputs.nixosConfigurations);
		url = (builtins.head (of "web-01").services.infra-agent.settings.source.remotes).url;
		dns = (of "dns-01").services.unbound.settings.server.interface;
		mount = (of "db-01").fileSystems."/var/lib/postgresql".device;
		cloud-init = (of "web-01").services.cloud-init.enable;
		secure = (of "web-01").services.openssh.settings.PasswordAuthentication;
		home = (of "web-01").home-manager.useGlobalPkgs;
		arm = (of "dns-02").nixpkgs.hostPlatform;
		rules = (of "mon-01").services.infra-agent.monitoring.enable;
		branches = let agent = (flake.system [
			{ system.stateVersion = "25.11"; fleet.agent = { enable = true; branch = "deploy"; }; }
			(packaging + "/fleet/fleet/roles/monitoring.nix")
		]).config.services.infra-agent; in [ agent.settings.source.branch agent.monitoring.head.branch ];
		scraped = map (job: job.job_name) (of "mon-01").services.prometheus.scrapeConfigs;
		grafana = map (source: source.url) (of "mon-01").services.grafana.provision.datasources.settings.datasources;
		postgres = (of "db-01").services.postgresql.authentication;
		disk = (of "db-01").disko.devices.disk.main.device;
		builder = (of "build-01").boot.binfmt.emulatedSystems;
		vm = { root = (of "web-01").fileSystems."/".device; boot = (of "web-01").fileSystems."/boot".device; grub = (of "web-01").boot.loader.grub.device; };
		metal = { qemu = (of "db-01").fleet.hardware.qemuGuest.enable; disks = builtins.attrNames (of "db-01").fileSystems; };
		proxied = builtins.mapAttrs (_: host: host.locations."/".proxyPass) (of "proxy-01").services.nginx.virtualHosts;
		podman = (of "docker-01").virtualisation.podman.enable;
		library = (of "media-01").fileSystems."/srv/media".device;
	}`, &got))
	failed, names := map[string]any{}, map[string]any{}
	for _, name := range []string{"build-01", "db-01", "dns-01", "dns-02", "docker-01", "media-01", "mon-01", "proxy-01", "web-01"} {
		failed[name], names[name] = []any{}, name
	}
	want := map[string]any{
		"failed": failed, "names": names,
		"agents": true, "url": "https://git.example.org/fleet.git", "dns": []any{"127.0.0.1", "192.0.2.10"},
		"mount": "/dev/disk/by-label/postgres", "cloud-init": false, "secure": false, "home": true, "arm": "aarch64-linux", "rules": true,
		"branches": []any{"deploy", "deploy"}, "scraped": []any{"infra-agent", "node"}, "grafana": []any{"http://127.0.0.1:9090"},
		"postgres": "host sameuser all 192.0.2.0/24 scram-sha-256",
		"disk":     "/dev/sda", "builder": []any{"aarch64-linux"}, "podman": true, "library": "/dev/disk/by-label/media",
		"proxied": map[string]any{"www.example.org": "http://192.0.2.40:80"},
		"vm":      map[string]any{"root": "/dev/disk/by-label/nixos", "boot": "/dev/disk/by-label/ESP", "grub": "nodev"},
		"metal":   map[string]any{"qemu": false, "disks": []any{"/var/lib/postgresql"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the fleet's nodes (-want +got):\n%s", diff)
	}
}

// A machine boots as the image boots that it was made from.
func TestTheFleetsGuests(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `builtins.mapAttrs (_: node: let of = (flake.fromRegistry {
			registry = { nodes.a = node; roles.default.implied = true; };
			roles = packaging + "/fleet/fleet/roles"; inherit (flake) nixosSystem; specialArgs = { inherit (flake) inputs; };
			modules = [ (packaging + "/fleet/fleet/modules") ];
		}).a.config; in [ of.boot.loader.grub.device ] ++ builtins.attrNames of.fileSystems) {
			vm = { system = "x86_64-linux"; kind = "vm"; };
			cloud = { system = "x86_64-linux"; kind = "cloud"; };
			arm-cloud = { system = "aarch64-linux"; kind = "cloud"; };
		}`, &got))
	want := map[string]any{
		"vm": []any{"nodev", "/", "/boot"}, "cloud": []any{"/dev/vda", "/"}, "arm-cloud": []any{"nodev", "/", "/boot"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("boot loader and file systems by kind (-want +got):\n%s", diff)
	}
}

// What nixpkgs' module of Proxmox images is told is told in the image alone: no other system has its options.
func TestTheFleetsProxmoxImages(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `builtins.mapAttrs (_: settings: let
		of = (flake.system [ { system.stateVersion = "25.11"; fleet.virtualisation.proxmox = settings // { enable = true; }; } ]).config.image.modules.proxmox.proxmox;
	in { inherit (of) partitionTableType; inherit (of.qemuConf) bios; inherit (of.qemuExtraConf) machine; cloudInit = of.cloudInit.device; }) {
		optimized = { };
		legacy = { machine = "pc"; uefi = false; };
		arm = { machine = "virt"; };
	}`, &got))
	image := func(table, bios, machine, device string) map[string]any {
		return map[string]any{"partitionTableType": table, "bios": bios, "machine": machine, "cloudInit": device}
	}
	want := map[string]any{
		"optimized": image("efi", "ovmf", "q35", "ide2"), "legacy": image("legacy", "seabios", "pc", "ide2"), "arm": image("efi", "ovmf", "virt", "scsi1"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images for Proxmox (-want +got):\n%s", diff)
	}
}

// User data of a cloud is cloud-init's alone, and nobody knows a password.
func TestTheFleetsCloudImages(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `let
		of = (flake.system [ (packaging + "/fleet/fleet/hosts/image/configuration.nix") { fleet.virtualisation.cloud.enable = true; } ]).config;
	in {
		cloudInit = of.services.cloud-init.enable;
		amazonInit = of.image.modules.openstack.virtualisation.amazon-init.enable;
		root = of.users.users.root.initialPassword;
		passwords = of.services.openssh.settings.PasswordAuthentication;
		name = of.networking.hostName;
	}`, &got))
	want := map[string]any{"cloudInit": true, "amazonInit": false, "root": nil, "passwords": false, "name": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images for clouds (-want +got):\n%s", diff)
	}
}

// A node that is told to builds on the builder, which the registry knows.
func TestTheFleetsBuilder(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `let
		of = settings: (flake.system [ { system.stateVersion = "25.11"; fleet.services.remoteBuilds = settings; } ]).config.nix;
	in { builder = (builtins.head (of { enable = true; keyFile = "/run/secrets/builder-key"; }).buildMachines).hostName; off = of { } ? buildMachines; }`, &got))
	if diff := cmp.Diff(map[string]any{"builder": "192.0.2.30", "off": false}, got); diff != "" {
		t.Errorf("builds elsewhere (-want +got):\n%s", diff)
	}
}

// A machine that asks for nothing gets nothing of the fleet's modules.
func TestTheFleetsModulesEnableNothing(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `let
		of = (flake.system [ { system.stateVersion = "25.11"; } ]).config;
		enabled = path: set: builtins.concatLists (builtins.attrValues (builtins.mapAttrs (name: option:
			let value = (builtins.tryEval option).value; in # false, where it has no default
			if name == "enable" && value then [ path ] else if builtins.isAttrs value then enabled (path + "." + name) value else [ ]) set));
	in {
		enabled = enabled "fleet" (builtins.removeAttrs of.fleet [ "infrastructure" ]);
		fileSystems = builtins.attrNames of.fileSystems;
		services = builtins.attrNames of.systemd.services;
		ports = of.networking.firewall.allowedTCPPorts;
		failed = map (a: a.message) (builtins.filter (a: !a.assertion) of.assertions);
	}`, &got))
	none := []any{}
	want := map[string]any{"enabled": none, "fileSystems": none, "services": none, "ports": none, "failed": none}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the fleet's modules alone (-want +got):\n%s", diff)
	}
}

// The small template is a node, and nothing else.
func TestTheMinimalTemplate(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `let
		minimal = import (packaging + "/fleet/testdata/flake.nix") { flake = packaging + "/fleet/minimal"; };
		node = minimal.outputs.nixosConfigurations.web-01;
	in {
		nodes = builtins.attrNames minimal.outputs.nixosConfigurations;
		failed = minimal.failed node;
		agent = node.config.services.infra-agent.enable;
		name = node.config.networking.hostName;
		inherit (minimal) missing;
	}`, &got))
	want := map[string]any{"nodes": []any{"web-01"}, "failed": []any{}, "agent": true, "name": "web-01", "missing": []any{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the minimal template (-want +got):\n%s", diff)
	}
}

// The module's snippet makes a node of any system.
func TestTheModulesTemplate(t *testing.T) {
	var got map[string]any
	check(t, fleet(t, `let system = flake.nixosSystem {
		specialArgs = { inherit (flake) inputs; };
		modules = [ (packaging + "/fleet/module/infra-agent.nix") { networking.hostName = "a"; system.stateVersion = "25.11"; } ];
	}; in { failed = flake.failed system; agent = system.config.services.infra-agent.enable; }`, &got))
	if diff := cmp.Diff(map[string]any{"failed": []any{}, "agent": true}, got); diff != "" {
		t.Errorf("the module's template (-want +got):\n%s", diff)
	}
}

// What contradicts itself is refused before anything is built.
func TestWhatTheFleetRefuses(t *testing.T) {
	var failed []string
	check(t, fleet(t, `flake.failed (flake.system [ { system.stateVersion = "25.11"; fleet.security = { secure.enable = true; trusted.enable = true; }; } ])`, &failed))
	if len(failed) != 2 || !strings.Contains(failed[0], "exclude each other") || !strings.Contains(failed[1], "exclude each other") {
		t.Errorf("with both security modules: %q, want that they exclude each other, by both", failed)
	}
	for name, c := range map[string]struct{ node, want string }{
		"an unknown kind":           {`a.kind = "vmm"`, "kind"},
		"an id that is none":        {`a.vmid = "100"`, "vmid"},
		"a role that is no list":    {`a.roles = "dns"`, "roles"},
		"a proxy of another kind":   {`a.proxy = { port = 80; protocol = "gopher"; }`, "proxy.protocol"},
		"a proxy without a port":    {`a.proxy.protocol = "http"`, "proxy.port"},
		"an unknown field of proxy": {`a.proxy = { port = 80; portt = 81; }`, "proxy.portt"},
	} {
		var nodes any
		err := fleet(t, `(flake.system [ { system.stateVersion = "25.11"; fleet.infrastructure.nodes.`+c.node+`; } ]).config.fleet.infrastructure.nodes`, &nodes)
		if want := "fleet.infrastructure.nodes.a." + c.want; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %s", name, err, want)
		}
	}
	for name, c := range map[string]struct{ node, want string }{
		"roles that conflict": {`{ roles = [ "postgres" "remote-builder" ]; }`, "node a has the roles postgres and remote-builder, which conflict"},
		"an unknown role":     {`{ roles = [ "dnss" ]; }`, "node a has the role dnss, which has neither a module nor a table"},
	} {
		err := fleet(t, `builtins.mapAttrs (_: flake.failed) (flake.fromRegistry {
			registry = builtins.fromTOML (builtins.readFile (packaging + "/fleet/fleet/modules/infrastructure/infrastructure.toml")) // { nodes.a = `+c.node+`; };
			roles = packaging + "/fleet/fleet/roles"; inherit (flake) nixosSystem;
		})`, &failed)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
