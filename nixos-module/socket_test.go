//go:build integration

package nixosmodule

import (
	"maps"
	"strings"
	"testing"
)

// Each address has a socket of its own; the service wants it, and does not name it in Sockets=, for which a switch would not
// start the agent.
func TestSocketActivation(t *testing.T) {
	const on = remote + `metrics.socketActivation = true; `
	unit := func(listen, more string) string {
		return "[Unit]\nDescription=Metrics of infra-agent\n\n[Socket]\nListenStream=" + listen + "\nService=infra-agent.service\n" + more + "\n[Install]\nWantedBy=sockets.target\n"
	}
	for settings, want := range map[string]map[string]string{
		remote: {},
		on:     {"infra-agent-metrics-127-0-0-1-10119": unit("127.0.0.1:10119", "")},
		on + `settings.metrics.listen = ":9119";`:                                           {"infra-agent-metrics-9119": unit("9119", "")},
		on + `settings.metrics.listen = "[fd00::1]:9119";`:                                  {"infra-agent-metrics-fd00--1-9119": unit("[fd00::1]:9119", "")},
		on + `settings.metrics.listen = "/run/m.sock";`:                                     {"infra-agent-metrics-run-m-sock": unit("/run/m.sock", "SocketMode=0600\n")},
		on + `settings.metrics = { listen = "/run/m.sock"; socket_group = "prometheus"; };`: {"infra-agent-metrics-run-m-sock": unit("/run/m.sock", "SocketGroup=prometheus\nSocketMode=0660\n")},
		`enable = false; metrics.socketActivation = true;`:                                  {},
	} {
		var got struct {
			Sockets map[string]string
			Service string
		}
		check(t, evaluate(t, "let c = "+system(settings, "")+`; in { sockets = builtins.mapAttrs (name: _: c.systemd.units."${name}.socket".text) c.systemd.sockets;
			service = (c.systemd.units."infra-agent.service" or { text = ""; }).text; }`, &got))
		if !maps.Equal(got.Sockets, want) {
			t.Errorf("with %s the sockets are %q, want %q", settings, got.Sockets, want)
		}
		for name := range want {
			if !strings.Contains(got.Service, "\nWants="+name+".socket\n") || strings.Contains(got.Service, "Sockets=") {
				t.Errorf("with %s the service is\n%s", settings, got.Service)
			}
		}
	}
}
