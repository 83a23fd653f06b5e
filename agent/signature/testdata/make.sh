#!/bin/bash
# Makes the fixtures of this folder with real git, ssh-keygen and gpg: commits as git stores them, and the files of keys.
# Run it in an empty directory; it writes there. The private keys are thrown away.
set -euo pipefail
out=$PWD work=$(mktemp -d)
trap 'gpgconf --kill all; rm -rf "$work"' EXIT
export GNUPGHOME=$work/gpg HOME=$work GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Ann GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_NAME=Ann GIT_COMMITTER_EMAIL=ann@example.org
export GIT_AUTHOR_DATE=2026-03-04T05:06:07Z GIT_COMMITTER_DATE=2026-03-04T05:06:07Z
mkdir -m 700 "$GNUPGHOME"
cd "$work"

ssh_keys="ann bob rsa ecdsa rsa1024 dsa"
for key in ann bob; do ssh-keygen -q -t ed25519 -N '' -C "$key@example.org" -f $key; done
ssh-keygen -q -t rsa -b 3072 -N '' -C rsa@example.org -f rsa
ssh-keygen -q -t rsa -b 1024 -N '' -C rsa1024@example.org -f rsa1024
ssh-keygen -q -t ecdsa -N '' -C ecdsa@example.org -f ecdsa
ssh-keygen -q -t dsa -N '' -C dsa@example.org -f dsa

# Keys of 2025, whatever the clock says.
gpg() { command gpg -q --batch --passphrase '' --faked-system-time 20250101T000000 "$@"; }
fingerprint() { gpg --with-colons --list-keys "$1@example.org" | awk -F: '/^fpr/ { print $10; exit }'; }
for id in ann bob revoked; do gpg --quick-gen-key $id@example.org ed25519 sign never; done
gpg --quick-gen-key old@example.org ed25519 sign 1d
for kind in rsa1024 rsa2048 dsa2048; do gpg --quick-gen-key $kind@example.org $kind sign never; done
for id in subkey revoked-subkey; do
  gpg --quick-gen-key $id@example.org ed25519 cert never
  gpg --quick-add-key "$(fingerprint $id)" ed25519 sign never
done

git init -q -b main repo && cd repo
save() { git cat-file commit HEAD >"$out/$1.commit"; }
ssh() { git -c gpg.format=ssh -c user.signingkey="$work/$1" "${@:2}"; }
commit() { ssh "$2" commit -q --allow-empty -S -m "$1"; save "$3"; }
git commit -q --allow-empty -m unsigned && save unsigned
for key in $ssh_keys; do commit "signed by $key" $key ssh-$key; done
GIT_COMMITTER_DATE=2020-01-01T00:00:00Z commit "made later than it says" ann ssh-backdated
text=$'a signature in the message\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n nonsense\n -----END SSH SIGNATURE-----'
commit "$text" ann ssh-text
git commit -q --allow-empty -m "$text" && save unsigned-text
git config i18n.commitEncoding ISO-8859-1
commit $'gr\xfcn' ann ssh-encoding
git config --unset i18n.commitEncoding

git checkout -q -b side HEAD~1 && commit "on the side" ann ssh-side
git checkout -q -b other HEAD~1 && git commit -q --allow-empty -m "on another side"
ssh ann tag -s -m "a signed tag" signed side
git checkout -q main
ssh ann merge -q --no-ff -S -m "a merge" side && save ssh-merge
git reset -q --hard HEAD^ && ssh ann merge -q --no-ff -S -m "of three" side other && save ssh-octopus
git reset -q --hard HEAD^ && ssh ann merge -q --no-ff -S -m "of a tag" signed && save ssh-mergetag
git reset -q --hard HEAD^ && git merge -q --no-ff -m "of a tag" signed && save unsigned-mergetag

# pgp KEY NAME [OPTION…]: a commit signed by gpg with these options
pgp() {
  printf '#!/bin/sh\nexec gpg -q --faked-system-time 20250101T120000 %s "$@"\n' "${*:3}" >"$work/gpg-with" && chmod +x "$work/gpg-with"
  git -c gpg.program="$work/gpg-with" -c user.signingkey="$1@example.org" commit -q --allow-empty -S -m "$2" && save "pgp-$2"
}
for id in ann bob old revoked rsa1024 rsa2048 dsa2048 subkey revoked-subkey; do pgp $id $id; done
pgp ann expired --default-sig-expire 1d
pgp ann text --textmode
pgp ann two -u rsa2048@example.org
pgp rsa2048 sha1 --digest-algo SHA1
pgp rsa2048 ripemd160 --digest-algo RIPEMD160
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$(fingerprint revoked).rev" | gpg --import
printf '%s\n' 'key 1' revkey y 0 '' y save | gpg --no-batch --pinentry-mode loopback --command-fd 0 --no-tty --edit-key "$(fingerprint revoked-subkey)" >/dev/null

# Ann's signature of the same bytes, but made for files.
git commit -q --allow-empty -m "signed for something else"
git cat-file commit HEAD >payload
ssh-keygen -q -Y sign -n file -f "$work/ann" payload
{ sed '/^$/,$d' payload; sed '1s/^/gpgsig /;2,$s/^/ /' payload.sig; sed -n '/^$/,$p' payload; } >"$out/ssh-file-namespace.commit"

echo "ann@example.org $(cut -d' ' -f1,2 "$work/ann.pub")" >"$out/allowed_signers"
for key in rsa ecdsa rsa1024 dsa; do echo "$key@example.org namespaces=\"git\" $(cut -d' ' -f1,2 "$work/$key.pub")" >>"$out/allowed_signers"; done
cp "$work/bob.pub" "$out/bob.pub"
cp "$work/ann.pub" "$out/ann.pub"
gpg --armor --export {ann,old,revoked,rsa1024,rsa2048,dsa2048,subkey,revoked-subkey}@example.org >"$out/keyring.asc"
gpg --export ann@example.org >"$out/keyring.gpg"
gpg --armor --export bob@example.org >"$out/bob.asc"
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$(fingerprint ann).rev" >"$out/ann-revocation.asc"

# What git and gpg themselves say of them.
says() {
  local raw
  raw=$(git -c gpg.ssh.allowedSignersFile="$out/allowed_signers" verify-commit --raw "$(git hash-object -w -t commit "$out/$2.commit")" 2>&1) || true
  grep -q "$1" <<<"$raw" || { echo "git does not say $1 of $2" >&2; exit 1; }
}
for c in ann rsa ecdsa rsa1024 dsa merge side octopus mergetag encoding text backdated; do says '^Good "git" signature' ssh-$c; done
for c in ann rsa1024 rsa2048 dsa2048 subkey text sha1 ripemd160; do says GOODSIG pgp-$c; done
says EXPKEYSIG pgp-old
says EXPSIG pgp-expired
for c in revoked revoked-subkey; do says REVKEYSIG pgp-$c; done
for c in unsigned unsigned-text unsigned-mergetag pgp-two; do
  if git verify-commit "$(git hash-object -w -t commit "$out/$c.commit")"; then exit 1; fi
done
