package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// maxAnswer bounds one answer of Prometheus: ten thousand nodes need 2 MB.
const maxAnswer = 32 << 20

// A prometheusServer is asked over Prometheus's HTTP API, which names and passwords in its URL open.
type prometheusServer struct {
	url    *url.URL
	client *http.Client
}

// A sample is one series of an instant vector: its value now, and the labels that we read.
type sample struct {
	Metric struct {
		Node        string `json:"node"` // this and the next three: as "registry prometheus-targets" names the target
		Roles       string `json:"roles"`
		TargetWave  string `json:"registry_wave"`
		TargetEnv   string `json:"registry_environment"`
		Instance    string `json:"instance"`
		Config      string `json:"config"`
		Environment string `json:"environment"`
		Wave        string `json:"wave"`
		Role        string `json:"role"`
		State       string `json:"state"`
		Gate        string `json:"gate"`
		Revision    string `json:"revision"`
	} `json:"metric"`
	Value point `json:"value"`
}

// A point is a time and a value, both in seconds since 1970 where the value is a time.
type point struct{ at, value float64 }

// UnmarshalJSON reads [1774785600.123, "1"], as the API writes it.
func (p *point) UnmarshalJSON(data []byte) error {
	at, value, ok := strings.Cut(strings.Trim(string(data), "[]"), ",")
	var err error
	if p.at, err = strconv.ParseFloat(strings.TrimSpace(at), 64); err != nil || !ok {
		return fmt.Errorf("value %.40s: want a time and a number", data)
	}
	if p.value, err = strconv.ParseFloat(strings.Trim(value, ` "`), 64); err != nil {
		return fmt.Errorf("value %.40s: want a time and a number", data)
	}
	return nil
}

func prometheusAt(address string) (prometheusServer, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return prometheusServer{}, fmt.Errorf("--prometheus %q: want a URL like http://127.0.0.1:9090", address)
	}
	return prometheusServer{u, &http.Client{CheckRedirect: stay}}, nil
}

// stay follows no redirect: it leads to a login page, or to an address that is better named.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (s prometheusServer) String() string { return "Prometheus at " + s.url.Redacted() }

// all asks several questions at once. The answers are in their order, nil to no question; one that fails ends all.
func (s prometheusServer) all(ctx context.Context, questions []string) ([][]sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make([][]sample, len(questions))
	var asking sync.WaitGroup
	for i, q := range questions {
		if q == "" {
			continue
		}
		asking.Go(func() {
			var err error
			if answers[i], err = s.ask(ctx, q); err != nil {
				cancel(err)
			}
		})
	}
	asking.Wait()
	return answers, context.Cause(ctx)
}

// ask returns the instant vector that expr is now.
func (s prometheusServer) ask(ctx context.Context, expr string) ([]sample, error) {
	at := s.url.JoinPath("api/v1/query")
	at.RawQuery = url.Values{"query": {expr}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", s, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.silent(err)
	}
	defer resp.Body.Close()
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		to.User, to.RawQuery, to.Fragment = nil, "", ""
		return nil, fmt.Errorf("%v redirects to %s (hint: name that with --prometheus, unless it is a login page)", s, printable(strings.TrimSuffix(to.String(), "/api/v1/query")))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, s.silent(err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("%v: its answer to %s is larger than %d MiB", s, expr, maxAnswer>>20)
	}
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Type   string   `json:"resultType"`
			Result []sample `json:"result"`
		} `json:"data"`
	}
	err = json.Unmarshal(body, &answer)
	switch {
	case err == nil && answer.Status == "error":
		return nil, fmt.Errorf("%v refuses %s: %s", s, expr, printable(answer.Error))
	case err != nil || resp.StatusCode != http.StatusOK || answer.Status != "success" || answer.Data.Type != "vector":
		start, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
		return nil, fmt.Errorf("%v: what answers there does not speak Prometheus's API: %s, %q (hint: --prometheus wants the address without /graph, and what a proxy before it asks for)",
			s, resp.Status, start[:min(60, len(start))])
	}
	return answer.Data.Result, nil
}

// silent says why there is no answer.
func (s prometheusServer) silent(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok { // it would repeat the question, encoded
		err = e.Err
	}
	return fmt.Errorf("%v does not answer: %w (hint: name the one that scrapes the nodes with --prometheus URL)", s, err)
}
