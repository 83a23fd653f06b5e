#!/usr/bin/python3
"""A double of NixOS's switch-to-configuration that really stops, starts, restarts and reloads units.

Exit codes, with the words beside them, are those of switch-to-configuration-ng (nixpkgs 00401fd7e581 and 0145c6da2896,
pkgs/by-name/sw/switch-to-configuration-ng/src): 0 done; 1 usage, "Pre-switch checks failed", "Failed to install bootloader";
2 "Failed to run activate script"; 4 a unit failed (the new system is active all the same); 100 a reboot is needed; 11, the
errno of flock(2), "Could not acquire lock". But 3, a daemon-reload that failed, is of the Perl one before NixOS 25.05: the
other one waits, and exits 1 in the middle of the activation. Since nixpkgs#541424 a logind or a bus that fails ends no switch
half way any more: the rest is done, and the exit code says it.
While /run/lab-pause exists, it stops between activation and starting units, and says so in /run/lab-paused.
"""
import fcntl
import json
import os
import subprocess
import sys
import time

OUT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
OLD_UNITS = "/etc/systemd/system"
NEW_UNITS = f"{OUT}/etc/systemd/system"
ACTIONS = ("check", "switch", "boot", "test", "dry-activate")
# Settings of [Unit] that change nothing about a running unit.
COSMETIC = {"Description", "Documentation", "OnFailure", "OnSuccess", "CollectMode", "SourcePath",
            "RefuseManualStart", "RefuseManualStop", "X-Reload-Triggers"}
STARTABLE = ("service", "socket", "timer", "path", "mount", "target")


class Exit(Exception):
    """Ends the switch with a code and a message."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def systemctl(*args):
    return subprocess.run(["systemctl", *args]).returncode == 0


def query(*args):
    return subprocess.run(["systemctl", *args], capture_output=True, text=True).stdout


def loaded_units():
    listing = json.loads(query("list-units", "--all", "--output=json") or "[]")
    return {unit["unit"]: unit for unit in listing if unit["active"] != "inactive"}


def parse(path):
    """A unit file as {(section, key): [value, …]}, without [Install]."""
    section, settings = "", {}
    for line in read(path).splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line[1:-1]
        elif line and line[0] not in "#;" and section != "Install":
            key, _, value = line.partition("=")
            settings.setdefault((section, key.strip()), []).append(value.strip())
    return settings


def flag(unit, section, key, default):
    values = unit.get((section, key))
    return values[-1].lower() in ("1", "yes", "true", "on") if values else default


def relevant(unit):
    return {key: value for key, value in unit.items() if not (key[0] == "Unit" and key[1] in COSMETIC)}


class Plan:
    """Which units to stop, start, restart and reload, and which changed ones to leave alone."""

    def __init__(self, loaded):
        self.stop, self.skip, self.quiet = set(), set(), set()
        # An interrupted switch left these lists: go on with them.
        self.start, self.restart, self.reload = (
            set(read(list_file(verb)).split()) for verb in ("start", "restart", "reload"))
        for name, unit in loaded.items():
            if os.path.exists(f"{OLD_UNITS}/{name}") and unit["active"] in ("active", "activating"):
                self.add(name)

    def add(self, name):
        old, new = parse(f"{OLD_UNITS}/{name}"), parse(f"{NEW_UNITS}/{name}")
        triggers = ("Unit", "X-Reload-Triggers")
        if not os.path.exists(f"{NEW_UNITS}/{name}"):
            if flag(old, "Unit", "X-StopOnRemoval", True):
                self.stop.add(name)
        elif name.endswith(".target"):
            if not flag(new, "Unit", "RefuseManualStart", False):
                self.start.add(name)  # starts what the target newly wants
                self.quiet.add(name)
        elif relevant(old) == relevant(new):
            if triggers in new and old.get(triggers) != new[triggers]:
                self.reload.add(name)
        elif flag(new, "Service", "X-ReloadIfChanged", False):
            self.reload.add(name)
        elif not flag(new, "Service", "X-RestartIfChanged", True) or flag(new, "Unit", "RefuseManualStop", False):
            self.skip.add(name)
        elif not flag(new, "Service", "X-StopIfChanged", True) or not name.endswith(".service"):
            self.restart.add(name)
        else:
            self.stop.add(name)
            self.start.add(name)

    def shown(self, units):
        return ", ".join(sorted(units - self.quiet))


def list_file(verb):
    return f"/run/nixos/{verb}-list"


def acquire_lock():
    os.makedirs("/run/nixos", exist_ok=True)
    lock = open("/run/nixos/switch-to-configuration.lock", "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Exit(11, "Could not acquire lock") from None
    return lock


def check_inhibitors():
    """Compares what both systems have, key by key, as preSwitchChecks.switchInhibitors of switchable-system.nix does."""
    old, new = (json.loads(read(f"{system}/switch-inhibitors") or "{}") for system in ("/run/current-system", OUT))
    changed = [f"{key} : {old[key]} -> {new[key]}" for key in sorted(old) if key in new and old[key] != new[key]]
    if os.environ.get("NIXOS_NO_CHECK") != "1" and changed:
        raise Exit(1, "Checking switch inhibitors...\nThere are changes to critical components of the system:\n\n" + "\n".join(changed)
                   + "\n\nSwitching into this system is not recommended.\n"
                     "You probably want to run 'nixos-rebuild boot' and reboot your system instead.\n\n"
                     "Pre-switch check 'switchInhibitors' failed\nPre-switch checks failed")


def check_init_interface():
    if read("/run/current-system/init-interface-version") != read(f"{OUT}/init-interface-version"):
        raise Exit(100, "Warning: the new NixOS configuration has an ‘init’ that is\nincompatible with the current "
                        "configuration.  The new configuration\nwon't take effect until you reboot the system.")


def install_bootloader():
    if subprocess.run(["/usr/local/sbin/lab-bootloader", OUT]).returncode:
        raise Exit(1, "Failed to install bootloader")


def show(plan):
    if plan.stop:
        say("would stop the following units:", plan.shown(plan.stop))
    if plan.skip:
        say("would NOT stop the following changed units:", plan.shown(plan.skip))
    say("would activate the configuration...")
    for verb, units in (("reload", plan.reload), ("restart", plan.restart), ("start", plan.start)):
        if units - plan.quiet:
            say(f"would {verb} the following units:", plan.shown(units))


def activate(plan):
    """Carries the plan out and returns the exit code."""
    code = 0
    for verb, units in (("start", plan.start), ("restart", plan.restart), ("reload", plan.reload)):
        with open(list_file(verb), "w") as file:
            file.writelines(f"{unit}\n" for unit in sorted(units))
    if plan.stop:
        say("stopping the following units:", plan.shown(plan.stop))
        systemctl("stop", "--", *sorted(plan.stop))
    if plan.skip:
        say("NOT restarting the following changed units:", plan.shown(plan.skip))
    new_systemd = os.path.realpath("/run/current-system/systemd") != os.path.realpath(f"{OUT}/systemd")
    say("activating the configuration...")
    if subprocess.run([f"{OUT}/activate", OUT]).returncode:
        say("Failed to run activate script")
        code = 2
    pause()
    if new_systemd:
        say("restarting systemd...")
        systemctl("daemon-reexec")
    systemctl("reset-failed")
    if not systemctl("daemon-reload"):
        code = 3
    for verb, participle, units in (("reload", "reloading", plan.reload), ("restart", "restarting", plan.restart),
                                    ("start", "starting", plan.start)):
        if units - plan.quiet:
            say(f"{participle} the following units:", plan.shown(units))
        if units and not systemctl(verb, "--", *sorted(units)):
            code = 4
        os.unlink(list_file(verb))
    return code


def pause():
    while os.path.exists("/run/lab-pause"):
        with open("/run/lab-paused", "w"):
            pass
        time.sleep(0.02)


def has_failed(name, unit):
    if unit["active"] == "failed":
        return True
    return unit["sub"] == "auto-restart" and query("show", "-P", "ExecMainStatus", name).strip() != "0"


def report(before):
    """Names the units that are new and those that failed; says whether any failed."""
    after = loaded_units()
    failed = sorted(name for name, unit in after.items() if has_failed(name, unit))
    new = sorted(name for name in after if name not in before and name not in failed and name.split(".")[-1] in STARTABLE)
    if new:
        say("the following new units were started:", ", ".join(new))
    if failed:
        say("warning: the following units failed:", ", ".join(failed))
        subprocess.run(["systemctl", "status", "--no-pager", "--full", *failed], stdout=sys.stderr)
    return bool(failed)


def switch(action):
    if not os.path.isfile("/etc/NIXOS"):
        raise Exit(1, "This is not a NixOS installation!")
    lock = acquire_lock()  # held until the process ends
    if action != "boot":
        check_inhibitors()
    if action == "check":
        return 0
    if action in ("switch", "boot"):
        install_bootloader()
    if action == "boot":
        return 0
    check_init_interface()
    before = loaded_units()
    plan = Plan(before)
    if action == "dry-activate":
        show(plan)
        return 0
    code = activate(plan)
    if report(before):
        code = 4
    lock.close()
    return code


def main():
    action = sys.argv[1] if len(sys.argv) > 1 else ""
    if action not in ACTIONS:
        say(f"Usage: {sys.argv[0]} [{'|'.join(ACTIONS)}]")
        return 1
    try:
        return switch(action)
    except Exit as error:
        say(error)
        return error.code


sys.exit(main())
