"""Builds a toplevel: what NixOS puts there and somebody reads, from the derivation's structured attributes."""
import json
import os
import sys
import time

with open(os.environ["NIX_ATTRS_JSON_FILE"]) as file:
    attrs = json.load(file)
OUT = attrs["outputs"]["out"]
UNITS = "etc/systemd/system"


def write(path, text, mode=0o444):
    path = os.path.join(OUT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def link(target, path):
    path = os.path.join(OUT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)


def install(source, path):
    with open(source) as file:
        write(path, file.read(), 0o555)


def write_unit(name, text):
    write(f"{UNITS}/{name}", text)
    for line in text.splitlines():
        key, _, targets = line.strip().partition("=")
        if key == "WantedBy":
            for target in targets.split():
                link(f"../{name}", f"{UNITS}/{target}.wants/{name}")


time.sleep(attrs["buildSeconds"])
if attrs["buildFails"]:
    sys.exit("error: this build fails on purpose")

write("nixos-version", attrs["version"])
write("system", attrs["system"])
write("init-interface-version", attrs["initInterface"])
write("switch-inhibitors", json.dumps(attrs["inhibitors"]))
write("activate-exit", str(attrs["activateExit"]))
if attrs.get("configurationRevision"):
    write("configuration-revision", attrs["configurationRevision"])
write("init", "#!/bin/sh\nexec /usr/lib/systemd/systemd\n", 0o555)
install(attrs["activate"], "activate")
install(attrs["switch"], "bin/switch-to-configuration")

link(attrs["linux"] + "/bzImage", "kernel")
link(attrs["linux"], "kernel-modules")
link(attrs["initrd"] + "/initrd", "initrd")
link(attrs["systemd"], "systemd")

for program in ("nix", "nix-build", "nix-collect-garbage", "nix-env", "nix-store", "systemctl", "systemd-run", "journalctl"):
    link(f"/usr/bin/{program}", f"sw/bin/{program}")
link("/usr/local/bin/nixos-rebuild", "sw/bin/nixos-rebuild")
for package in attrs["packages"]:
    for program in os.listdir(f"{package}/bin"):
        link(f"{package}/bin/{program}", f"sw/bin/{program}")
write("sw/bin/nixos-version", f"""#!/bin/sh
case $1 in
--configuration-revision) echo {attrs.get("configurationRevision") or "unknown"} ;;
*) echo {attrs["version"]} ;;
esac
""", 0o555)

for target in ("multi-user.target", "default.target"):
    link("/usr/lib/systemd/system/multi-user.target", f"{UNITS}/{target}")
for name, text in attrs["units"].items():
    write_unit(name, text)
for name, content in attrs["etc"].items():
    if isinstance(content, dict):
        link(content["source"], f"etc/{name}")
    else:
        write(f"etc/{name}", content)
