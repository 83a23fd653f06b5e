//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// scrapesThroughARestart restarts the agent and scrapes it all the while. It prints the first answer and the last one: every one
// in between has come, too, or the program would have failed.
const scrapesThroughARestart = `import socket, subprocess
def scrape():
    s = socket.create_connection(("127.0.0.1", 10119))
    s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = s.makefile().read()
    assert "\ninfra_agent_in_sync " in text, text
    return text
print(scrape())
restart = subprocess.Popen(["systemctl", "restart", "infra-agent"])
while restart.poll() is None:
    scrape()
assert restart.returncode == 0
print(scrape())`

// systemd listens for scrapes where the module's option says so. A commit switches that on, moves it and switches it off, on a
// node whose agent runs.
func TestScrapesWaitForAnAgentThatStartsAgain(t *testing.T) {
	f := newFleet(t)
	web := f.up("web1")[0]
	listens := func() string {
		return must[string](t)(web.Run(t.Context(), "systemctl", "list-sockets", "--no-legend", "--show-types", "infra-agent-metrics*"))
	}
	scraped := func(at string) (string, error) { return web.Run(t.Context(), "python3", "-c", scrape, at) }
	deployed := func(what string, files map[string]string) {
		t.Helper()
		t.Log(what)
		f.push(what, files)
		tip := f.tip()
		web.wait("promoted", ended(reconcile.ResultPromoted, tip))
		web.wait("without warnings", func(s control.Status) bool { return s.Running && len(s.Warnings) == 0 })
	}
	config := must[string](t)(f.Repo().File("config.toml"))

	deployed("on", map[string]string{"agent-options.toml": "metrics.socketActivation = true\n"})
	if got := listens(); !strings.HasPrefix(got, "127.0.0.1:10119 ") || !strings.Contains(got, " infra-agent-metrics-127-0-0-1-10119.socket infra-agent.service") {
		t.Errorf("systemd listens at %q", got)
	}
	const started = "\ninfra_agent_config_last_reload_success_timestamp_seconds "
	out := must[string](t)(web.Run(t.Context(), "python3", "-c", scrapesThroughARestart))
	times := strings.Split(out, started)[1:]
	if len(times) != 2 || times[0][:12] == times[1][:12] && times[0] == times[1] {
		t.Errorf("before and after the restart the agent had started at %.20q", times)
	}
	web.powerCut()
	web.wait("back", func(s control.Status) bool { return s.Running })
	if _, err := scraped("127.0.0.1:10119"); err != nil || listens() == "" {
		t.Errorf("after a boot: %v, sockets %q", err, listens())
	}

	deployed("elsewhere", map[string]string{"config.toml": strings.Replace(config, "[control]", "[metrics]\nlisten = \":9119\"\n\n[control]", 1)})
	if got := listens(); !strings.Contains(got, ":9119 ") || strings.Contains(got, "10119") {
		t.Errorf("systemd listens at %q", got)
	}
	if text, err := scraped("127.0.0.1:9119"); err != nil || !strings.Contains(text, "\ninfra_agent_troubles 0\n") {
		t.Errorf("at the new port: %v\n%s", err, text)
	}
	if _, err := scraped("127.0.0.1:10119"); err == nil {
		t.Error("the old port still answers")
	}

	running := web.toplevel(lab.CurrentSystem)
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.rolledBack(bad, running, reconcile.ReasonUnit)
	if text, err := scraped("127.0.0.1:9119"); err != nil || !strings.Contains(text, "\ninfra_agent_deployments_total{result=\"rolled_back\"} 1\n") {
		t.Errorf("after a rollback: %v\n%s", err, text)
	}

	deployed("off", map[string]string{"agent-options.toml": "", "roles/web.nix": strings.Replace(must[string](t)(f.Repo().File("roles/web.nix")), "/bin/false", "/bin/sleep infinity", 1)})
	if got := listens(); got != "" {
		t.Errorf("systemd still listens at %q", got)
	}
	if _, err := scraped("127.0.0.1:9119"); err != nil {
		t.Errorf("the agent itself: %v", err)
	}
}
