package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/packaging/catalogue"
	"github.com/infra-agent/infra-agent/reconcile"
)

// vector is an answer of Prometheus's API, of series written as {"label": "value"} and a value.
func vector(at int64, series ...string) string {
	var results []string
	for _, s := range series {
		labels, value, _ := strings.Cut(s, "} ")
		results = append(results, fmt.Sprintf(`{"metric":%s},"value":[%d.123,"%s"]}`, labels, at, value))
	}
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(results, ",") + `]}}`
}

// serveFleet is a Prometheus that scrapes so many nodes, and has the rules where askNewest has an answer. It answers each question
// with the text of the same number; none is an empty vector. It is asked for each node where askUp has an answer, and for the
// details of the instances named, or of all.
func serveFleet(t testing.TB, nodes int, standing, details map[int]string, instances ...string) prometheusServer {
	t.Helper()
	asked := map[string]string{countQuestion("infra-agent"): vector(1774785600, fmt.Sprintf("{} %d", nodes))}
	answer := func(questions []string, answers map[int]string) {
		for i, q := range questions {
			if asked[q] = answers[i]; answers[i] == "" {
				asked[q] = vector(0)
			}
		}
	}
	each := standing[askUp] != ""
	answer(standingQuestions("infra-agent", each), standing)
	answer(detailQuestions(selector{"infra-agent", instances}, each, standing[askNewest] != ""), details)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer, ok := asked[r.URL.Query().Get("query")]; ok && r.URL.Path == "/prom/api/v1/query" {
			_, _ = w.Write([]byte(answer))
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	server, err := prometheusAt(srv.URL + "/prom")
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// A fleet in which every standing is taken, at 2026-03-29 12:00 UTC.
func smallFleet(t testing.TB) prometheusServer {
	const at = 1774785600
	return serveFleet(t, 8, map[int]string{
		askUp: vector(at,
			`{"instance":"10.0.0.1:10119","node":"dns-01"} 1`, `{"instance":"10.0.0.2:10119","node":"dns-02"} 1`,
			`{"instance":"10.0.0.3:10119","node":"web-01"} 1`, `{"instance":"10.0.0.4:10119"} 1`, `{"instance":"10.0.0.5:10119"} 1`,
			`{"instance":"10.0.0.6:10119","node":"off-01","roles":",web,","registry_wave":"last","registry_environment":"prod"} 0`,
			`{"instance":"10.0.0.7:10119","node":"old-01"} 1`, `{"instance":"10.0.0.8:10119","node":"sus-01"} 1`),
		askSilent: vector(at, `{"instance":"10.0.0.6:10119"} 0`, `{"instance":"10.0.0.7:10119"} 1`),
		askBehind: vector(at, `{"instance":"10.0.0.2:10119"} 1774785000`, `{"instance":"10.0.0.3:10119"} 1774785000`, `{"instance":"10.0.0.4:10119"} 1774785540.5`,
			`{"instance":"10.0.0.5:10119"} 0`),
		askHeld:       vector(at, `{"instance":"10.0.0.2:10119"} 1`, `{"instance":"10.0.0.8:10119"} 1`),
		askFailed:     vector(at, `{"instance":"10.0.0.3:10119"} 1`, `{"instance":"10.0.0.5:10119"} 1`),
		askRolledBack: vector(at, `{"instance":"10.0.0.1:10119"} 100`, `{"instance":"10.0.0.2:10119"} 1774785100`),
		askNewest:     vector(at, `{"revision":"`+string(revB)+`"} 1774785000`),
	}, map[int]string{
		askInfo: vector(at,
			`{"instance":"10.0.0.1:10119","config":"dns-one","environment":"prod","wave":"canary"} 1`,
			`{"instance":"10.0.0.4:10119","config":"web-02","wave":"last"} 1`, `{"instance":"10.0.0.5:10119","config":"evil\u001b[2J","wave":""} 1`),
		askEntered: vector(at, `{"instance":"10.0.0.1:10119"} 1774612800`, `{"instance":"10.0.0.2:10119"} 1774785550`),
		askRoles: vector(at, `{"instance":"10.0.0.1:10119","role":"ntp"} 1`, `{"instance":"10.0.0.1:10119","role":"dns"} 1`,
			`{"instance":"10.0.0.4:10119","role":"a"} 1`, `{"instance":"10.0.0.4:10119","role":"b"} 1`, `{"instance":"10.0.0.4:10119","role":"c"} 1`,
			`{"instance":"10.0.0.4:10119","role":"d"} 1`, `{"instance":"10.0.0.4:10119","role":"e"} 1`),
		askState: vector(at, `{"instance":"10.0.0.1:10119","state":"idle"} 1`, `{"instance":"10.0.0.2:10119","state":"held"} 1`,
			`{"instance":"10.0.0.3:10119","state":"verifying_rollback"} 1`, `{"instance":"10.0.0.4:10119","state":"building"} 1`,
			`{"instance":"10.0.0.5:10119","state":"stuck"} 1`, `{"instance":"10.0.0.8:10119","state":"held"} 1`),
		askGates: vector(at, `{"instance":"10.0.0.2:10119","gate":"window"} 1`, `{"instance":"10.0.0.2:10119","gate":"blocked"} 1`,
			`{"instance":"10.0.0.8:10119","gate":"suspend"} 1`),
		askRunning: vector(at, `{"instance":"10.0.0.1:10119","revision":"`+string(revB)+`"} 1`, `{"instance":"10.0.0.2:10119","revision":"`+string(revA)+`"} 1`,
			`{"instance":"10.0.0.3:10119","revision":"`+string(revA)+`"} 1`, `{"instance":"10.0.0.4:10119","revision":""} 1`),
	}, "10.0.0.3:10119", "10.0.0.5:10119", "10.0.0.2:10119", "10.0.0.8:10119", "10.0.0.4:10119", "10.0.0.6:10119", "10.0.0.7:10119", "10.0.0.1:10119")
}

const smallFleetText = `newest  bbbbbbbb dns: add a zone
nodes   8: 2 rollback failed, 1 rolled back, 1 held, 1 behind, 2 no answer, 1 in sync

  NODE      ROLES     WAVE    STATE               SINCE                 HELD BY         RUNS
rollback failed:
  web-01    -         -       verifying rollback  10 min ago            -               aaaaaaaa web: start
  evil?[2J  -         -       stuck               -                     -               -
rolled back:
  dns-02    -         -       held                10 min ago            blocked,window  aaaaaaaa web: start
held:
  sus-01    -         -       held                -                     suspend         -
behind:
  web-02    a,b,c,+2  last    building            59 s ago              -               -
no answer:
  off-01    web       last    -                   -                     -               -
  old-01    -         -       -                   -                     -               -
in sync:
  dns-01    dns,ntp   canary  idle                2026-03-27 12:00 UTC  -               bbbbbbbb dns: add a zone
`

func TestFleetShowsFirstWhatNeedsAttention(t *testing.T) {
	f, err := readFleet(t.Context(), smallFleet(t), "infra-agent", fleetLines)
	if err != nil {
		t.Fatal(err)
	}
	f.name(map[reconcile.Commit]string{revA: "web: start", revB: "dns: add a zone"})
	if got := f.text(fleetLines, false); got != smallFleetText {
		t.Errorf("the fleet is shown as\n%s\nwant\n%s", got, smallFleetText)
	}
	if plain, coloured := f.text(0, false), f.text(0, true); len(coloured) <= len(plain) || strings.Contains(plain, "\x1b") {
		t.Errorf("without colours there is\n%q\nand with them\n%q", plain, coloured)
	}
	var out bytes.Buffer
	if err := writeJSON(&out, f.Nodes[2]); err != nil {
		t.Fatal(err)
	}
	const want = `{
  "node": "dns-02",
  "instance": "10.0.0.2:10119",
  "standing": "rolled_back",
  "state": "held",
  "since": "2026-03-29T11:50:00Z",
  "gates": [
    "blocked",
    "window"
  ],
  "revision": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "subject": "web: start"
}
`
	if out.String() != want {
		t.Errorf("in JSON it is\n%s\nwant\n%s", out.String(), want)
	}
}

// What has been out of sync for longest comes first, and last what is in sync but held.
func TestFleetIsInOrder(t *testing.T) {
	long, short, never := fleetNode{Node: "b", Since: now.Add(-time.Hour)}, fleetNode{Node: "a", Since: now}, fleetNode{Node: "0"}
	for _, tt := range []struct {
		a, b fleetNode
		want int
	}{{long, short, -1}, {short, long, 1}, {long, never, -1}, {never, long, 1}, {never, never, 0}, {short, fleetNode{Node: "b", Since: now}, -1}} {
		tt.a.Standing, tt.b.Standing = standsHeld, standsHeld
		if got := byAttention(tt.a, tt.b); got != tt.want {
			t.Errorf("%+v and %+v are in the order %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// Of a large fleet there are numbers and exceptions; those in sync are listed only where all are.
func TestFleetOfTenThousandStaysReadable(t *testing.T) {
	const nodes = 10_000
	series, info := map[int][]string{}, []string{}
	for i := range nodes {
		instance := fmt.Sprintf(`{"instance":"10.0.%d.%d:10119"`, i/250, i%250)
		series[askUp] = append(series[askUp], instance+`} 1`)
		info = append(info, fmt.Sprintf(`%s,"config":"node-%05d","wave":"all"} 1`, instance, i))
		if i%100 == 0 {
			series[askBehind] = append(series[askBehind], fmt.Sprintf("%s} %d", instance, 1774785600-i))
		}
	}
	answers := map[int]string{}
	for question, all := range series {
		answers[question] = vector(1774785600, all...)
	}
	f, err := readFleet(t.Context(), serveFleet(t, nodes, answers, map[int]string{askInfo: vector(1774785600, info...)}), "infra-agent", 0)
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]int{fleetLines: 1 + 1 + 1 + 1 + fleetLines + 2, 200: 1 + 1 + 1 + 1 + 100 + 2, 0: 1 + 1 + 1 + 1 + 100 + 1 + 9_900} {
		text := f.text(most, false)
		if got := strings.Count(text, "\n"); got != want {
			t.Errorf("with at most %d nodes there are %d lines, want %d", most, got, want)
		}
		if !strings.HasPrefix(text, "nodes   10000: 100 behind, 9900 in sync\n\n") || !strings.Contains(text, "behind:\n  node-09900 ") {
			t.Errorf("it begins with %.200s", text)
		}
		if rest := "not shown, of which 9900 in sync: --all shows them\n"; strings.HasSuffix(text, rest) != (most > 0) {
			t.Errorf("with at most %d nodes it ends with %s", most, text[len(text)-100:])
		}
	}
	// Of a summary, Prometheus says no more than is shown. The first of it is down: only its target is known.
	delete(answers, askUp)
	var shown, targets []string
	for i := range fleetLines {
		n := 9900 - 100*i
		shown = append(shown, fmt.Sprintf("10.0.%d.%d:10119", n/250, n%250))
		targets = append(targets, fmt.Sprintf(`{"instance":%q,"node":"node-%05d","roles":",web,"} 1`, shown[i], n))
	}
	of := map[int]string{askTarget: vector(1774785600, targets...), askInfo: vector(1774785600, slices.Delete(info, 9900, 9901)...)}
	summary, err := readFleet(t.Context(), serveFleet(t, nodes, answers, of, shown...), "infra-agent", fleetLines)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(f.text(fleetLines, false), "  node-09900  -      all   -  ", "  node-09900  web    -     -  ", 1)
	if got := summary.text(fleetLines, false); got != want {
		t.Errorf("as a summary it is\n%s\nwant\n%s", got, want)
	}
	all, err := json.Marshal(f)
	if got := strings.Count(string(all), `"node":`); err != nil || got != nodes {
		t.Errorf("JSON has %d nodes, want all (%v)", got, err)
	}
}

// What is asked names metrics, labels and values that there are, and a series that the rules record.
func TestFleetAsksForWhatExists(t *testing.T) {
	agent, err := catalogue.Agent()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../../packaging/prometheus/infra-agent.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := agent.With(catalogue.Rules(string(rules)))
	some := selector{"infra-agent", []string{"[::1]:10119"}}
	for _, q := range slices.Concat(standingQuestions("infra-agent", true), detailQuestions(some, false, true), detailQuestions(some, false, false)) {
		for _, problem := range all.Problems(q) {
			t.Errorf("%s: %s", q, problem)
		}
	}
}

func TestFleetNeedsAPrometheusThatAnswers(t *testing.T) {
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error":          {says(400, `{"status":"error","errorType":"bad_data","error":"parse \u001b[2Jerror"}`), " refuses "},
		"a web page":        {says(200, "<html>\x1b[2J\n<body>"), `does not speak Prometheus's API: 200 OK, "<html>\x1b[2J"`},
		"another path":      {says(404, "404 page not found\n"), `does not speak Prometheus's API: 404 Not Found, "404 page not found"`},
		"a password wanted": {says(401, ""), `does not speak Prometheus's API: 401 Unauthorized, ""`},
		"JSON of another":   {says(200, `{"ok":true}`), "does not speak Prometheus's API"},
		"a scalar":          {says(200, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`), "does not speak Prometheus's API"},
		"a broken value":    {says(200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}`), "does not speak Prometheus's API"},
		"a login page": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://u:secret@sso.example.org/login?to=secret", http.StatusFound)
		}, " redirects to https://sso.example.org/login (hint: "},
		"the same over TLS": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+r.URL.String(), http.StatusMovedPermanently)
		}, " redirects to https://127.0.0.1:"},
		"itself": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}, " redirects to http://127.0.0.1:"},
		"nowhere":  {says(302, ""), "does not speak Prometheus's API: 302 Found"},
		"no HTTP":  {raw("SSH-2.0-OpenSSH_9.2\r\n"), "malformed HTTP response"},
		"a hangup": {raw(""), " does not answer: EOF (hint: "},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"status":`))
		}, "does not answer: unexpected EOF (hint: "},
		"too much": {func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Query().Get("query"), "count(") { // it is not waited for
				<-r.Context().Done()
			}
			for range maxAnswer>>20 + 1 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
					return
				}
			}
		}, "is larger than 32 MiB"},
		"no nodes": {says(200, vector(0)), `scrapes no node in a job "infra-agent" (hint: name the job with --job`},
	} {
		srv := httptest.NewServer(tt.answer)
		server, err := prometheusAt(strings.Replace(srv.URL, "//", "//user:secret@", 1))
		if err != nil {
			t.Fatal(err)
		}
		_, err = readFleet(t.Context(), server, "infra-agent", fleetLines)
		srv.Close()
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), server.url.Host) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if name == "no nodes" {
			_, err = readFleet(t.Context(), server, "infra-agent", fleetLines)
			if err == nil || !strings.Contains(err.Error(), "does not answer: dial tcp 127.0.0.1:") || !strings.Contains(err.Error(), "connection refused (hint: name the one that scrapes the nodes") {
				t.Errorf("a server that is gone: %v", err)
			}
		}
	}
}

// A server that hangs is given up for the reason that the caller has, not as one that is not there.
func TestFleetGivesUpOnASlowPrometheus(t *testing.T) {
	slow := errors.New("it took too long")
	ctx, giveUp := context.WithCancelCause(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		giveUp(slow)
		<-r.Context().Done()
	}))
	defer srv.Close()
	server, err := prometheusAt(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.all(ctx, []string{"up", "up"}); !errors.Is(err, slow) {
		t.Errorf("a server that hangs: %v, want %v", err, slow)
	}
}

// A server that accepts and says nothing is given up after half a minute, for all questions together.
func TestFleetGivesUpOnASilentPrometheus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := prometheusAt("http://user:secret@prometheus.example.org:9090")
		if err != nil {
			t.Fatal(err)
		}
		server.client.Transport = silence{}
		begun := time.Now()
		_, err = readFleet(t.Context(), server, "infra-agent", fleetLines)
		const want = "Prometheus at http://user:xxxxx@prometheus.example.org:9090 did not answer within 30s (hint: is it overloaded, or another service?)"
		if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), want) || took != fleetTimeout {
			t.Errorf("after %v: %v, want %s", took, err, want)
		}
	})
}

// silence never answers.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

func TestInstancesAreNamedAsTheyAre(t *testing.T) {
	const want = `up{job="a\"b", stage="x", instance=~"10\\.0\\.0\\.1:80|\\[::1\\]:80"}`
	if got := (selector{`a"b`, []string{"10.0.0.1:80", "[::1]:80"}}).of("up", `, stage="x"`); got != want {
		t.Errorf("they are selected by %s, want %s", got, want)
	}
}

// What is no time is not shown as one, and JSON can be written of it.
func TestATimeThatIsNone(t *testing.T) {
	for _, seconds := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, 253402300800} {
		if got := instant(seconds); !got.IsZero() {
			t.Errorf("%v is the time %v", seconds, got)
		}
	}
	if got := instant(253402300799).Format(time.RFC3339); got != "9999-12-31T23:59:59Z" {
		t.Errorf("the last second of the year 9999 is %s", got)
	}
}

func TestAddressOfPrometheus(t *testing.T) {
	for _, address := range []string{"", "localhost:9090", "10.0.0.1:9090", "http://", "ftp://x", "http://[::1", "/a"} {
		if s, err := prometheusAt(address); err == nil {
			t.Errorf("%q is taken for %v", address, s)
		}
	}
}

func TestSubjectsOfACheckout(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := git(t.Context(), dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	run("init", "--quiet")
	run("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--allow-empty", "-m", "web: \x1b[31mred\n\nbody")
	head := reconcile.Commit(run("rev-parse", "HEAD"))
	if got := subjects(t.Context(), dir, []reconcile.Commit{revA, head}); len(got) != 1 || got[head] != "web: ?[31mred" {
		t.Errorf("the subjects are %q", got)
	}
	run("config", "remote.origin.url", "ssh://nobody.invalid/fleet.git")
	run("config", "remote.origin.promisor", "true")
	run("config", "core.sshCommand", "touch asked;")
	if got := subjects(t.Context(), dir, []reconcile.Commit{revA, head}); len(got) != 1 {
		t.Errorf("of a partial clone the subjects are %q", got)
	}
	if _, err := os.Stat(dir + "/asked"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the remote of a partial clone was asked for a commit (%v)", err)
	}
	if got := subjects(t.Context(), dir, nil); len(got) != 0 {
		t.Errorf("of no commits there is %q", got)
	}
	if got := subjects(t.Context(), t.TempDir(), []reconcile.Commit{head}); len(got) != 0 {
		t.Errorf("outside of a checkout there is %q", got)
	}
}
