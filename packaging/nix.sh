#!/bin/bash
# nix.sh PROGRAM [ARGUMENT…]: runs a program of Nix. Where the lab's Debian tree is there (integration/setup.sh) and this is
# root, it is that tree's Nix 2.26, with a store of its own that goes away with the command; it sees this repository, /tmp
# and $TMPDIR. Elsewhere it is the machine's own Nix. Exits 69 and says why where there is neither.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
base=/var/cache/infra-agent-lab/trixie-$(sha256sum "$repository/integration/lab/packages" | cut -c1-12)

export NIX_CONFIG='experimental-features = nix-command flakes'

if [ "$(id -u)" = 0 ] && [ -e "$base/.done" ]; then
  NIX_CONFIG+=$'\nsandbox = false\nbuild-users-group =\nsubstituters ='
  exec unshare --mount --propagation private bash -euc '
    base=$1 repository=$2 there=$PWD; shift 2
    layer=$(mktemp -d)
    trap "umount -l $layer; rmdir $layer" EXIT
    mount -t tmpfs tmpfs "$layer"
    mkdir "$layer"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
    for directory in /proc /dev /tmp "$repository" "${TMPDIR:-/tmp}"; do
      mkdir -p "$layer/root$directory"
      mount --rbind "$directory" "$layer/root$directory"
    done
    chroot "$layer/root" /bin/sh -c "cd \"\$0\" 2>/dev/null; exec \"\$@\"" "$there" "$@"
  ' nix.sh "$base" "$repository" "$@"
fi
if command -v nix-instantiate >/dev/null; then
  exec "$@"
fi
echo "packaging/nix.sh: no Nix: install it, or run integration/setup.sh as root on Debian 12" >&2
exit 69
