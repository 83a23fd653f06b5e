#!/bin/sh
# What NixOS's activation script does and the lab needs: /etc from the toplevel, then /run/current-system.
# Like NixOS's, it goes on after a failed step, and moves /run/current-system all the same.
out=$(dirname "$(readlink -f "$0")")

: > /etc/NIXOS
ln -sfn "$out/etc" /etc/static
[ -L /etc/systemd/system ] || rm -rf /etc/systemd/system
ln -sfn /etc/static/systemd/system /etc/systemd/system

for link in $(find /etc -type l -lname '/etc/static/*'); do
  [ -e "$link" ] || rm -f "$link"
done
cd "$out/etc" || exit 1
for file in $(find . -path ./systemd/system -prune -o ! -type d -print); do
  file=${file#./}
  mkdir -p "/etc/$(dirname "$file")"
  ln -sfn "/etc/static/$file" "/etc/$file"
done

ln -sfn "$out" /run/current-system
exit "$(cat "$out/activate-exit")"
