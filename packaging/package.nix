# The agent. It needs Go 1.26; where buildGoModule has an older one: infra-agent.override { buildGoModule = buildGo126Module; }
{ lib, buildGoModule, version ? "0.1.0" }:
let
  inherit (lib) fileset;
  sources = fileset.fileFilter (file: file.hasExt "go" && !lib.hasSuffix "_test.go" file.name);
in
buildGoModule {
  pname = "infra-agent";
  inherit version;

  src = fileset.toSource {
    root = ../.;
    fileset = fileset.unions [
      ../go.mod
      ../go.sum
      (sources ../agent)
      ../agent/registry/convention/naming.toml
      ../agent/registry/convention/vmid.toml
      (sources ../cmd)
      (sources ../metrics)
      (sources ../reconcile)
    ];
  };
  vendorHash = "sha256-3PhIKOsIcjNbNpS29oe5yvmgXlec2euLQ6MYXwWuorI="; # packaging/vendorhash.sh

  subPackages = [ "cmd/infra-agent" ];
  env.CGO_ENABLED = 0;
  ldflags = [ "-s" "-w" "-X main.version=${version}" ];
  doCheck = false; # its tests are not in src: they run Nix, git and systemd

  meta = {
    description = "GitOps pull agent for NixOS that proves each system healthy, or puts the node back";
    homepage = "https://github.com/infra-agent/infra-agent";
    license = lib.licenses.mit;
    mainProgram = "infra-agent";
    platforms = lib.platforms.linux;
  };
}
