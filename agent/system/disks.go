package system

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A disk of a system, as fstab(5) names it.
type disk struct{ device, kind string }

// diskPlaces are where a machine that boots must find what the running system has there.
var diskPlaces = append([]string{"/", "/nix", "/nix/store"}, bootPlaces...)

// sameDisks refuses a system that has another disk where the machine boots from. A switch
// mounts nothing there anew: the trial would be well, and the next boot would not. Nor may
// something be mounted over the agent's own directory, or over Nix's: what is there would
// be out of sight.
func (n *Node) sameDisks(ctx context.Context, next reconcile.Toplevel, state string) error {
	now, then := n.disks(n.toplevel(currentSystem)), n.disks(next)
	for _, place := range diskPlaces {
		was, will := now[place], then[place]
		if was.device == "" || will.device == "" || was == will || was.kind == "tmpfs" && will.kind == "tmpfs" {
			continue
		}
		sameKind := was.kind == will.kind || was.kind == "auto" || will.kind == "auto"
		if device := n.resolved(ctx, was.device); sameKind && (was.device == will.device || device != "" && device == n.resolved(ctx, will.device)) {
			continue
		}
		return fmt.Errorf("the new system has %s (%s) at %s, where this one has %s (%s): a switch moves no disk, and the next boot would find it or not "+
			`(hint: move what is there, and run "nixos-rebuild boot" and reboot by hand; or correct fileSystems."%s")`,
			will.device, will.kind, place, was.device, was.kind, place)
	}
	for _, place := range slices.Sorted(maps.Keys(then)) {
		if now[place].device != "" || !hides(place, state) || slices.ContainsFunc(n.mounts(), func(m mount) bool { return m.where == place }) {
			continue
		}
		return fmt.Errorf("the new system mounts %s (%s) at %s, where nothing is mounted now: what is there, the agent's record or the store, would be out of sight "+
			"(hint: move what is there, and run nixos-rebuild switch by hand)", then[place].device, then[place].kind, place)
	}
	return nil
}

// hides reports whether something mounted at a place hides the agent's directory, or Nix's.
func hides(place, state string) bool {
	below := func(dir string) bool { return place == dir || strings.HasPrefix(dir, place+"/") }
	return place != "/" && (below(state) || below("/nix/store") || below("/nix/var/nix/db"))
}

// disks reads /etc/fstab of a system, and its own mount units, by mount point.
func (n *Node) disks(t reconcile.Toplevel) map[string]disk {
	disks := map[string]disk{}
	text, _ := os.ReadFile(n.Root + string(t) + "/etc/fstab") // a container has none
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && !strings.HasPrefix(f[0], "#") {
			disks[f[1]] = disk{f[0], f[2]}
		}
	}
	units, _ := filepath.Glob(n.Root + string(t) + unitDir + "/*.mount") // the pattern is well-formed
	for _, unit := range units {
		text, _ := os.ReadFile(unit)
		if where := directive(string(text), "Where"); where != "" && disks[where].device == "" {
			disks[where] = disk{directive(string(text), "What"), directive(string(text), "Type")}
		}
	}
	return disks
}

// resolved returns the device behind a name of fstab(5); "": there is none, or it is no device.
// A unit of its own looks, since the agent's sees no devices.
func (n *Node) resolved(ctx context.Context, name string) string {
	for tag, dir := range map[string]string{"UUID=": "by-uuid", "LABEL=": "by-label", "PARTUUID=": "by-partuuid", "PARTLABEL=": "by-partlabel"} {
		if value, is := strings.CutPrefix(name, tag); is {
			name = "/dev/disk/" + dir + "/" + strings.Trim(value, `"`)
		}
	}
	if !strings.HasPrefix(name, "/dev/") {
		return ""
	}
	device, err := n.Run(ctx, "preflight", command.Command{Args: []string{"readlink", "--canonicalize-existing", n.Root + name}, Dir: "/"})
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(device))
}
