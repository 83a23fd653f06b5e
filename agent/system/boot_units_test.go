package system

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// params are a system's kernel-params, from where its units are.
const params = "../../../kernel-params"

// booting are the units of a small system as NixOS and systemd write them.
var booting = map[string]string{
	"graphical.target":                       "[Unit]\nRequires=multi-user.target\nWants=display-manager.service\n",
	"multi-user.target":                      "[Unit]\nRequires=basic.target\n",
	"basic.target":                           "[Unit]\nRequires=sysinit.target\nWants=sockets.target timers.target paths.target slices.target\n",
	"rescue.target":                          "[Unit]\nRequires=sysinit.target rescue.service\n",
	AgentUnit:                                "[Service]\nEnvironment=\"NIX_REMOTE=daemon\"\nExecStart=/agent run\n",
	"nix-daemon.socket":                      "[Socket]\nListenStream=/nix/var/nix/daemon-socket/socket\n",
	"multi-user.target.wants/" + AgentUnit:   "",
	"sockets.target.wants/nix-daemon.socket": "",
}

func TestWhatBoots(t *testing.T) {
	const unstarted, deaf = "nothing of the new system starts infra-agent.service at boot", "nothing of the new system listens on /nix/var/nix/daemon-socket/socket"
	for name, c := range map[string]struct {
		change map[string]string // "-": the file is gone; "/x": a link to it
		want   string            // "": it goes on
	}{
		"as it should be":                           {nil, ""},
		"started by a drop-in":                      {map[string]string{"multi-user.target.wants/" + AgentUnit: "-", "basic.target.d/overrides.conf": "[Unit]\nWants=infra-agent.service\n"}, ""},
		"started by nothing":                        {map[string]string{"multi-user.target.wants/" + AgentUnit: "-"}, unstarted},
		"started by the rescue target":              {map[string]string{"multi-user.target.wants/" + AgentUnit: "-", "rescue.target.wants/" + AgentUnit: ""}, unstarted},
		"a boot that ends before it":                {map[string]string{"default.target": "/basic.target"}, unstarted},
		"a kernel that boots to a rescue":           {map[string]string{params: "quiet systemd.unit=rescue.target init=/x"}, unstarted},
		"a kernel that boots to a rescue by a word": {map[string]string{params: "quiet single"}, unstarted},
		"a kernel that boots elsewhere":             {map[string]string{params: "systemd.unit=rescue.target systemd.unit=multi-user.target"}, ""},
		"a kernel that masks the agent":             {map[string]string{params: "systemd.mask=infra-agent.service"}, unstarted},
		"a kernel that masks the daemon":            {map[string]string{params: "systemd.mask=nix-daemon.socket"}, deaf},
		"a kernel that starts the agent":            {map[string]string{"multi-user.target.wants/" + AgentUnit: "-", params: "systemd.wants=infra-agent.service"}, ""},
		"an initrd that goes to a rescue":           {map[string]string{params: "rd.systemd.unit=rescue.target"}, ""},
		"a boot that nobody can see":                {map[string]string{"default.target": "-", "multi-user.target.wants/" + AgentUnit: "-"}, ""},
		"a masked daemon":                           {map[string]string{"nix-daemon.socket": "/dev/null"}, deaf},
		"a daemon that nothing starts":              {map[string]string{"sockets.target.wants/nix-daemon.socket": "-"}, deaf},
		"a daemon that listens elsewhere":           {map[string]string{"nix-daemon.socket": "[Socket]\nListenStream=/run/nix\n"}, deaf},
		"a daemon by another name": {
			map[string]string{"nix-daemon.socket": "-", "other.socket": booting["nix-daemon.socket"], "sockets.target.wants/other.socket": ""}, "",
		},
		"a daemon that always runs": {map[string]string{"nix-daemon.socket": "-", "nix-daemon.service": "[Service]\n", "multi-user.target.wants/nix-daemon.service": ""}, ""},
		"no daemon, and no need of one": {
			map[string]string{"nix-daemon.socket": "-", AgentUnit: "[Service]\nExecStart=/agent run\n"}, "",
		},
	} {
		n := &Node{Root: t.TempDir()}
		dir := n.Root + "/nix/store/aaa/etc/systemd/system"
		files := maps.Clone(booting)
		files["default.target"] = "/graphical.target"
		maps.Copy(files, c.change)
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			var err error
			switch {
			case text == "-":
			case strings.HasPrefix(text, "/"):
				err = os.Symlink(text, path)
			default:
				err = os.WriteFile(path, []byte(text), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := n.bootsAgent("/nix/store/aaa"); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// An agent that ends, for other credentials say, must be started again. A node whose unit never said so is left alone.
func TestWhoStartsTheAgentAgain(t *testing.T) {
	for _, c := range []struct{ now, next, want string }{
		{"Restart=always\n", "Restart=always\n", ""},
		{"Restart=always\n", "Restart=always\nRestart=on-failure\n", "starts infra-agent.service again whenever it ends"},
		{"Restart=always\n", "RuntimeMaxSec=1h\n", "starts infra-agent.service again whenever it ends"},
		{"Restart=no\n", "Restart=no\n", ""},
		{"StartLimitIntervalSec=0\n", "StartLimitBurst=1\nStartLimitIntervalSec=1d\n", "its unit needs StartLimitIntervalSec=0"},
	} {
		unit := func(t reconcile.Toplevel) string { return string(t) + "/etc/systemd/system/" }
		n := root(t, map[string]string{
			currentSystem: "-> " + string(topA), unit(topA) + AgentUnit: "[Service]\n" + c.now, unit(topB) + AgentUnit: "[Service]\n" + c.next,
			unit(topB) + "default.target": "-> multi-user.target", unit(topB) + "multi-user.target.wants/" + AgentUnit: "",
		})
		if err := n.bootsAgent(topB); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q after %q: got %v, want %q", c.next, c.now, err, c.want)
		}
	}
}
