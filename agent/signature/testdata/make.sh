#!/bin/bash
# Makes the fixtures of this folder with real git, ssh-keygen and gpg: commits as git stores them, and the files of keys.
# Run it in an empty directory; it writes there. The private keys are thrown away.
set -euo pipefail
out=$PWD work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GNUPGHOME=$work/gpg HOME=$work GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Ann GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_NAME=Ann GIT_COMMITTER_EMAIL=ann@example.org
export GIT_AUTHOR_DATE=2026-03-04T05:06:07Z GIT_COMMITTER_DATE=2026-03-04T05:06:07Z
mkdir -m 700 "$GNUPGHOME"
cd "$work"
for key in ann bob; do ssh-keygen -q -t ed25519 -N '' -C "$key@example.org" -f $key; done
ssh-keygen -q -t rsa -b 3072 -N '' -C rsa@example.org -f rsa
ssh-keygen -q -t ecdsa -N '' -C ecdsa@example.org -f ecdsa
for id in ann bob; do gpg -q --batch --passphrase '' --quick-gen-key "$id@example.org" ed25519 sign never; done
gpg -q --batch --faked-system-time 20250101T000000 --passphrase '' --quick-gen-key "old@example.org" ed25519 sign 1d

git init -q -b main repo && cd repo
save() { git cat-file commit HEAD >"$out/$1.commit"; }
commit() { git -c gpg.format=ssh -c user.signingkey="$work/$2" commit -q --allow-empty -S -m "$1"; save "$3"; }
git commit -q --allow-empty -m unsigned && save unsigned
for key in ann bob rsa ecdsa; do commit "signed by $key" $key ssh-$key; done
git checkout -q -b side HEAD~1 && commit "on the side" ann ssh-side && git checkout -q main
git -c gpg.format=ssh -c user.signingkey="$work/ann" merge -q --no-ff -S -m "a merge" side && save ssh-merge
for id in ann bob; do git -c user.signingkey="$id@example.org" commit -q --allow-empty -S -m "signed by $id" && save pgp-$id; done
printf '#!/bin/sh\nexec gpg --faked-system-time 20250101T120000 "$@"\n' >"$work/oldgpg" && chmod +x "$work/oldgpg"
git -c gpg.program="$work/oldgpg" -c user.signingkey=old@example.org commit -q --allow-empty -S -m "signed by an expired key" && save pgp-old

# Ann's signature of the same bytes, but made for files.
git commit -q --allow-empty -m "signed for something else"
git cat-file commit HEAD >payload
ssh-keygen -q -Y sign -n file -f "$work/ann" payload
{ sed '/^$/,$d' payload; sed '1s/^/gpgsig /;2,$s/^/ /' payload.sig; sed -n '/^$/,$p' payload; } >"$out/ssh-file-namespace.commit"

echo "ann@example.org $(cut -d' ' -f1,2 "$work/ann.pub")" >"$out/allowed_signers"
for key in rsa ecdsa; do echo "$key@example.org namespaces=\"git\" $(cut -d' ' -f1,2 "$work/$key.pub")" >>"$out/allowed_signers"; done
cp "$work/bob.pub" "$out/bob.pub"
cp "$work/ann.pub" "$out/ann.pub"
gpg -q --armor --export ann@example.org old@example.org >"$out/keyring.asc"
gpg -q --export ann@example.org >"$out/keyring.gpg"
for c in "$out"/ssh-{ann,rsa,ecdsa,merge,side}.commit; do # git itself agrees
  git -c gpg.ssh.allowedSignersFile="$out/allowed_signers" verify-commit -v "$(git hash-object -w -t commit "$c")" 2>&1 | grep -q '^Good "git" signature'
done
