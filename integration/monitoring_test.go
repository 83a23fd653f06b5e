//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
)

// monitoring is a Prometheus that scrapes a fleet's agents, and Debian's Alertmanager, which tells one receiver of what fires.
type monitoring struct {
	*prometheus
	manager string // Alertmanager's API

	mu    sync.Mutex       // guards what follows
	head  string           // what "infra-agent registry head" says of the branch
	alert map[string]alert // newest that the receiver was told, by name and instance
}

// An alert as Alertmanager tells a web hook: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
type alert struct {
	Status      string // firing or resolved
	Labels      map[string]string
	Annotations map[string]string
}

// name is the name of an alert, with the node where it is about one.
func name(labels map[string]string) string {
	return strings.TrimSpace(labels["alertname"] + " " + labels["instance"])
}

// The intervals are short, since a test has no minutes. The rules say themselves how long an alert waits.
const prometheusConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
alerting: {alertmanagers: [{static_configs: [{targets: ["%s"]}]}]}
scrape_configs:
- job_name: infra-agent
  proxy_url: %s
  file_sd_configs: [{files: [DIR/targets.json]}]
- job_name: branch
  static_configs: [{targets: ["%s"]}]
`

const alertmanagerConfig = `
route: {receiver: test, group_by: [alertname, instance], group_wait: 0s, group_interval: 1s}
receivers: [{name: test, webhook_configs: [{url: "%s", send_resolved: true}]}]
`

// monitor watches the nodes of the fleet's registry, on or off.
func monitor(t *testing.T, f fleet) *monitoring {
	t.Helper()
	m := &monitoring{alert: map[string]alert{}}
	receiver := httptest.NewServer(http.HandlerFunc(m.told))
	t.Cleanup(receiver.Close)
	branch := httptest.NewServer(http.HandlerFunc(m.branch))
	t.Cleanup(branch.Close)
	proxy := httptest.NewServer(f.Loopback())
	t.Cleanup(proxy.Close)

	s := inServersTree(t)
	manager := fmt.Sprint("127.0.0.1:", port(t))
	m.manager = "http://" + manager + "/api/v2/"
	s.run("prometheus-alertmanager", "--log.level=warn", "--web.listen-address="+manager, "--cluster.listen-address=", "--storage.path="+s.dir+"/alerts",
		"--config.file="+s.write("alertmanager.yml", fmt.Sprintf(alertmanagerConfig, receiver.URL)))
	s.up("tcp", manager)
	s.write("targets.json", targets(t, f))
	m.prometheus = startPrometheus(s, fmt.Sprintf(prometheusConfig, manager, proxy.URL, branch.Listener.Addr()), "--enable-feature=native-histograms")
	return m
}

// targets are the nodes of the fleet's registry, as the agent's command line tells Prometheus.
func targets(t *testing.T, f fleet) string {
	t.Helper()
	checkout := filepath.Join(t.TempDir(), "infrastructure.toml")
	check(t, os.WriteFile(checkout, []byte(must[string](t)(f.Repo().File("infrastructure.toml"))), 0o600))
	return string(must[[]byte](t)(exec.CommandContext(t.Context(), must[string](t)(builtAgent()), "registry", "prometheus-targets", "--path", checkout).Output()))
}

// look asks the git server what the branch is at, from a machine that is not watched for it.
func (m *monitoring) look(from *node) {
	m.t.Helper()
	head := must[string](m.t)(from.agent("registry", "head", "--url", lab.GitURL, "--branch", "main"))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = head
}

// branch serves the last look, as node_exporter does with a textfile.
func (m *monitoring) branch(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = w.Write([]byte(m.head))
}

// told is the receiver.
func (m *monitoring) told(_ http.ResponseWriter, r *http.Request) {
	var message struct{ Alerts []alert }
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		m.t.Errorf("the receiver got what is no message of Alertmanager: %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range message.Alerts {
		m.alert[name(a.Labels)] = a
	}
}

// newest is what the receiver was told last of an alert.
func (m *monitoring) newest(name string) alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alert[name]
}

// arrived waits until the newest word on an alert at the receiver is the given one.
func (m *monitoring) arrived(status string, names ...string) {
	m.t.Helper()
	m.until(func() error {
		for _, name := range names {
			if got := m.newest(name); got.Status != status {
				return fmt.Errorf("the receiver was not told that %s is %s: %+v", name, status, got)
			}
		}
		return nil
	})
}

// fires compares the names and instances of the alerts that fire, by Prometheus and by Alertmanager.
func (m *monitoring) fires(want ...string) {
	m.t.Helper()
	type active struct {
		Labels map[string]string
		State  string // of Prometheus
	}
	var data struct{ Alerts []active }
	var managed []active
	check(m.t, errors.Join(m.ask("alerts", nil, &data), m.get(m.manager+"alerts", &managed)))
	got := map[string][]string{}
	for _, a := range data.Alerts {
		if a.State == "firing" {
			got["Prometheus"] = append(got["Prometheus"], name(a.Labels))
		}
	}
	for _, a := range managed {
		got["Alertmanager"] = append(got["Alertmanager"], name(a.Labels))
	}
	for _, who := range []string{"Prometheus", "Alertmanager"} {
		if slices.Sort(got[who]); !slices.Equal(got[who], want) {
			m.t.Errorf("%s has the alerts %q, want %q", who, got[who], want)
		}
	}
}
