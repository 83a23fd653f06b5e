#!/bin/bash
# setup.sh [servers]
#
# Prepares a Debian 12 machine for the lab: the programs that it runs, and the tree that its nodes share
# (a minimal Debian 13 with systemd 257 and Nix 2.26); with "servers" also the tree that servers run in: git's, and
# Prometheus. Does nothing where they are there.
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "integration/setup.sh: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "the lab starts systemd machines: run this as root"
[ -e /etc/debian_version ] || fail "this needs Debian 12 (apt and mmdebstrap); run the lab in a Debian 12 machine"

# The Go code looks for the same name: see base.go.
base=/var/cache/infra-agent-lab/trixie-$(sha256sum lab/packages | cut -c1-12)
servers=/var/cache/infra-agent-lab/servers-$(sha256sum lab/servers-packages | cut -c1-12)

install_programs() {
  echo "installing the lab's programs: systemd-nspawn, mmdebstrap, git and others" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends systemd-container mmdebstrap iproute2 git openssh-server gnupg jq shellcheck >/dev/null
}

# The machine's own mirror; a bare machine may have the old or the new format of apt's sources.
mirror() {
  local uri
  uri=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)
  [ -n "$uri" ] || uri=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -1)
  echo "${uri:-http://deb.debian.org/debian}"
}

# make_tree TREE PACKAGES WHAT
make_tree() {
  local tree=$1 new=$1.new log=$1.log
  echo "making the tree $3; some minutes, log in $log" >&2
  mkdir -p "$(dirname "$tree")"
  rm -rf "$tree" "$new"
  mmdebstrap --variant=essential --include="$(paste -sd, "$2")" \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/{doc,man,info,locale}/*' \
    trixie "$new" "deb $(mirror) trixie main" >"$log" 2>&1 || { tail -20 "$log" >&2; fail "mmdebstrap: see $log"; }
  mv "$new" "$tree"
  touch "$tree/.done"
}

for program in systemd-nspawn mmdebstrap ip git sshd gpg jq shellcheck; do
  command -v "$program" >/dev/null || { install_programs; break; }
done
[ -e "$base/.done" ] || make_tree "$base" lab/packages "that the nodes share, once: a minimal Debian 13 with systemd and Nix"
[ "${1-}" != servers ] || [ -e "$servers/.done" ] ||
  make_tree "$servers" lab/servers-packages "of servers, once: Debian 13's nginx, lighttpd, cgit, gitolite, Prometheus and Alertmanager"
