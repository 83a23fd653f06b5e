# The agent. It needs Go 1.26; where buildGoModule has an older one: infra-agent.override { buildGoModule = buildGo126Module; }
# The flake says of which commit it is. Where none is known, the version is of the files that it is made of.
{ lib, stdenv, buildGoModule, installShellFiles, testers, infra-agent-commit ? "" }:
let
  inherit (lib) fileset;
  sources = fileset.fileFilter (file: file.hasExt "go" && !lib.hasSuffix "_test.go" file.name);
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
      ../packaging/infra-agent.catalog
      (sources ../reconcile)
    ];
  };
  files = "source." + builtins.substring 0 8 (baseNameOf (builtins.unsafeDiscardStringContext "${src}"));
  version = "0.1.0+" + (if infra-agent-commit != "" then infra-agent-commit else files);
  runs = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
in
buildGoModule (finalAttrs: {
  pname = "infra-agent";
  inherit src version;
  vendorHash = "sha256-88vu1O+NwDB+KnmmsKsKMMHd1Mq+zRvDyXpGXudVs3I="; # packaging/vendorhash.sh

  subPackages = [ "cmd/infra-agent" ];
  env.CGO_ENABLED = 0;
  ldflags = [ "-s" "-w" "-X main.version=${version}" ];
  doCheck = false; # its tests are not in src: they run Nix, git and systemd

  nativeBuildInputs = [ installShellFiles ];
  postInstall = ''
    install -Dm444 -t $out/lib/systemd/catalog packaging/infra-agent.catalog
  '' + lib.optionalString runs ''
    for shell in bash fish zsh; do
      $out/bin/infra-agent completion $shell >infra-agent.$shell
    done
    installShellCompletion infra-agent.{bash,fish,zsh}
    $out/bin/infra-agent man >infra-agent.1
    installManPage infra-agent.1
  '';

  doInstallCheck = runs;
  installCheckPhase = ''
    runHook preInstallCheck
    test "$($out/bin/infra-agent version)" = "infra-agent ${version}"
    printf '[[source.remotes]]\nurl = "https://git.example.org/fleet.git"\n' >config.toml
    $out/bin/infra-agent check config.toml
    runHook postInstallCheck
  '';

  # What nixpkgs builds beside a package: its program, and a machine that runs it (it needs KVM).
  passthru.tests = {
    version = testers.testVersion { package = finalAttrs.finalPackage; };
    vm = testers.runNixOSTest (import ../nixos-module/vm-test.nix {
      module = {
        key = "infra-agent under test"; # the test imports it twice
        imports = [ ../nixos-module ];
        services.infra-agent.package = finalAttrs.finalPackage;
      };
    });
  };

  meta = {
    description = "GitOps pull agent for NixOS that proves each system healthy, or puts the node back";
    homepage = "https://github.com/infra-agent/infra-agent";
    changelog = "https://github.com/infra-agent/infra-agent/blob/main/CHANGELOG.md";
    license = lib.licenses.mit;
    mainProgram = "infra-agent";
    platforms = lib.platforms.linux;
  };
})
