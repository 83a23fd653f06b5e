package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// unitPath is the PATH of a unit as NixOS writes it, nixos/lib/systemd-lib.nix.
var unitPath = regexp.MustCompile(`(?m)^Environment="PATH=([^"]*)"$`)

// nixWorks refuses a system whose agent could deploy nothing with its Nix: the agent's
// unit finds no nix or no nixos-rebuild, or Nix's own settings make it useless. It asks
// only where one of them is another one than now, and what it cannot see is left to the trial.
func (n *Node) nixWorks(ctx context.Context, next reconcile.Toplevel) error {
	unit, _ := os.ReadFile(n.Root + string(next) + "/etc/systemd/system/" + AgentUnit)
	path := unitPath.FindSubmatch(unit)
	if path == nil {
		return nil
	}
	tools := map[string]string{}
	for _, name := range []string{"nix", "nixos-rebuild"} {
		if tools[name] = n.lookPath(name, string(path[1]), next); tools[name] == "" {
			return fmt.Errorf("%s of the new system finds no %s on its PATH, so it could not deploy another commit (hint: is nix.enable or system.tools off?)", AgentUnit, name)
		}
	}
	now := n.toplevel(currentSystem)
	if n.sameFile(string(next), string(now), "etc/nix/nix.conf") && n.sameFile(string(next), string(now), "etc/nix/machines") {
		return nil
	}
	return n.nixSettings(ctx, tools["nix"], next)
}

// lookPath finds a program on a PATH as it will be when next runs; "" when it is not there.
func (n *Node) lookPath(name, path string, next reconcile.Toplevel) string {
	for dir := range strings.SplitSeq(path, ":") {
		if rest, of := strings.CutPrefix(dir, "/run/current-system"); of {
			dir = string(next) + rest
		}
		info, err := os.Stat(n.Root + filepath.Join(dir, name))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// sameFile reports whether both systems have the file with the same content, or neither.
func (n *Node) sameFile(a, b, file string) bool {
	one, err := os.ReadFile(n.Root + filepath.Join(a, file))
	other, err2 := os.ReadFile(n.Root + filepath.Join(b, file))
	return string(one) == string(other) && errors.Is(err, os.ErrNotExist) == errors.Is(err2, os.ErrNotExist)
}

// trivial is a derivation that Nix builds with no program but its own. The system's path
// is in it, so that each system has one of its own to build.
const trivial = `derivation { name = "infra-agent-preflight"; system = "builtin"; builder = "builtin:buildenv"; ` +
	`derivations = [ ]; manifest = "%s"; allowSubstitutes = false; }`

// nixSettings has the new system's Nix read the new system's settings, nix.conf(5),
// evaluate something, and build something where it builds by itself. No daemon is asked:
// the one that runs has the old settings.
func (n *Node) nixSettings(ctx context.Context, nix string, next reconcile.Toplevel) error {
	dir := filepath.Join(string(next), "etc/nix")
	ask := func(args ...string) ([]byte, error) {
		return n.Run(ctx, "preflight", command.Command{
			Args: append([]string{n.Root + nix, "--extra-experimental-features", "nix-command"}, args...), Env: []string{"NIX_CONF_DIR=" + n.Root + dir, "NIX_REMOTE=local"}, Dir: "/",
		})
	}
	out, err := ask("config", "show", "--json")
	if err == nil {
		_, err = ask("eval", "--expr", "1 + 1")
	}
	if err != nil {
		return ofNoUse(err)
	}
	var settings map[string]struct{ Value any }
	_ = json.Unmarshal(out, &settings) // a Nix to come may print something else
	jobs, known := settings["max-jobs"].Value.(float64)
	builders, _ := settings["builders"].Value.(string)
	switch {
	case known && jobs == 0 && !n.builds(builders, next):
		return errors.New("the new system's Nix could not build anything: max-jobs is 0, and there are no builders (hint: nix.settings.max-jobs, or nix.buildMachines)")
	case known && jobs == 0: // others build for it
		return nil
	}
	_, err = ask("build", "--no-link", "--expr", fmt.Sprintf(trivial, next))
	return ofNoUse(err)
}

// ofNoUse says so of a Nix that ended with an error.
func ofNoUse(err error) error {
	if exit, ran := errors.AsType[*command.ExitError](err); ran {
		return fmt.Errorf("with its nix.conf, the new system's Nix is of no use: %s", strings.Join(exit.Tail, " "))
	}
	return err
}

// builds reports whether the value of Nix's setting "builders" names a machine: in itself,
// or in the file after an @.
func (n *Node) builds(builders string, next reconcile.Toplevel) bool {
	file, is := strings.CutPrefix(strings.TrimSpace(builders), "@")
	if !is {
		return builders != ""
	}
	if rest, etc := strings.CutPrefix(file, "/etc/"); etc {
		file = filepath.Join(string(next), "etc", rest)
	}
	machines, err := os.ReadFile(n.Root + file)
	return err == nil && strings.TrimSpace(string(machines)) != ""
}

// hostName returns the host name that next brings; "": the one that the node has, or it
// is not known.
func (n *Node) hostName(next reconcile.Toplevel) string {
	name, err := os.ReadFile(n.Root + string(next) + "/etc/hostname")
	now, err2 := os.ReadFile(n.Root + "/proc/sys/kernel/hostname")
	if err != nil || err2 != nil || strings.TrimSpace(string(name)) == strings.TrimSpace(string(now)) {
		return ""
	}
	return strings.TrimSpace(string(name))
}
