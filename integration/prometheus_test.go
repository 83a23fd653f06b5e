//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheus is Debian's, with the rules of packaging/prometheus as they are.
type prometheus struct {
	t        testing.TB
	api      string
	start    time.Time
	patience time.Duration
}

// startPrometheus runs it until the test ends. In its configuration DIR is a directory of its own, below the servers', and
// SELF its address.
func startPrometheus(s servers, config string, flags ...string) *prometheus {
	s.t.Helper()
	address := fmt.Sprint("127.0.0.1:", port(s.t))
	s.write("infra-agent.rules.yml", string(must[[]byte](s.t)(os.ReadFile("../packaging/prometheus/infra-agent.rules.yml"))))
	file := s.write("prometheus.yml", "rule_files: [DIR/infra-agent.rules.yml]\n"+strings.ReplaceAll(config, "SELF", address))
	server := []string{"prometheus", "--log.level=warn", "--web.listen-address=" + address, "--storage.tsdb.path=" + s.dir + "/data", "--config.file=" + file}
	s.run(append(server, flags...)...)
	s.up("tcp", address)
	return &prometheus{s.t, "http://" + address + "/api/v1/", time.Now(), patience}
}

// ask asks Prometheus's API. A warning counts as an error.
func (p *prometheus) ask(path string, parameters url.Values, into any) error {
	var answer struct {
		Status, Error   string
		Warnings, Infos []string
		Data            json.RawMessage
	}
	if err := p.get(p.api+path+"?"+parameters.Encode(), &answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if said := append(answer.Warnings, answer.Infos...); answer.Status != "success" || len(said) > 0 {
		return fmt.Errorf("%s %v: %s %s %q", path, parameters, answer.Status, answer.Error, said)
	}
	return json.Unmarshal(answer.Data, into)
}

// A vector has the value of each series, and the count of a histogram. A series is named as in what an agent serves, without the labels of the target.
type vector map[string]float64

// query returns the newest value of each series of an expression, which is about one node or a whole fleet.
func (p *prometheus) query(expr string) (vector, error) {
	var data struct {
		Result []struct {
			Metric    map[string]string
			Value     [2]any // time, value
			Histogram [2]any // time, histogram
		}
	}
	if err := p.ask("query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, err
	}
	all := vector{}
	for _, s := range data.Result {
		text, _ := s.Value[1].(string)
		if h, is := s.Histogram[1].(map[string]any); is {
			text, _ = h["count"].(string)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", expr, err)
		}
		all[named(s.Metric)] = value
	}
	return all, nil
}

// ofTarget are the labels that a scraped series has from its target: see "infra-agent registry prometheus-targets".
var ofTarget = []string{"__name__", "instance", "job", "node", "roles", "registry_wave", "registry_environment"}

func named(labels map[string]string) string {
	var text []string
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		if !slices.Contains(ofTarget, l) {
			text = append(text, fmt.Sprintf("%s=%q", l, labels[l]))
		}
	}
	if len(text) == 0 {
		return labels["__name__"]
	}
	return labels["__name__"] + "{" + strings.Join(text, ",") + "}"
}

// values waits until the expressions have the values.
func (p *prometheus) values(want map[string]float64) {
	p.t.Helper()
	p.until(func() error {
		var all error
		for expr, value := range want {
			got, err := p.query(expr)
			if err != nil {
				return err
			}
			if len(got) != 1 || slices.Collect(maps.Values(got))[0] != value {
				all = errors.Join(all, fmt.Errorf("%s is %v, want %v", expr, got, value))
			}
		}
		return all
	})
}

// until waits until ask has nothing to complain of.
func (p *prometheus) until(ask func() error) {
	p.t.Helper()
	for deadline := time.Now().Add(p.patience); ; time.Sleep(100 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal(err)
		}
	}
}

// get asks a server for JSON.
func (p *prometheus) get(address string, into any) error {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}
