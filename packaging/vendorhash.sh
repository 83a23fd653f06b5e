#!/bin/bash
# vendorhash.sh [--write]: recomputes package.nix's vendorHash, and says so where it is stale; with --write, puts it right.
# The hash is of what buildGoModule makes of src: the directory that `go mod vendor` writes, by Nix's archive of it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

source_of_package() { packaging/nix.sh nix-instantiate --eval --raw packaging/source.nix --attr "$1"; }

have=$(source_of_package vendorHash)
source_of_package files >"$work/files"
mkdir "$work/src"
tar --create --files-from="$work/files" | tar --extract --directory="$work/src"
(
  cd "$work/src"
  export GOFLAGS= GOWORK=off
  go mod vendor
  go list -mod=vendor -deps ./cmd/infra-agent >"$work/packages" # fails where src or vendor lacks something
)
want=$(packaging/nix.sh nix hash path "$work/src/vendor")

if [ "$have" = "$want" ]; then
  exit 0
elif [ "${1:-}" = --write ]; then
  sed -i "s|$have|$want|" packaging/package.nix
  echo "packaging/package.nix: vendorHash is now $want"
else
  echo "packaging/package.nix: vendorHash is $have, but the modules that go.mod names have $want; run packaging/vendorhash.sh --write" >&2
  exit 1
fi
