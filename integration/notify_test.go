//go:build integration

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/agent/journal"
	"github.com/infra-agent/infra-agent/agent/message"
	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A receiver is a web server that is told.
type receiver struct {
	mu   sync.Mutex
	down bool
	got  map[string][]message.Message // by path
	odd  []string                     // what came and is no message
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var m message.Message
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	switch {
	case err != nil || req.Method != http.MethodPost || m.ID == "" || m.Node != "web1":
		r.odd = append(r.odd, req.Method+" "+req.RequestURI+" "+string(body))
	case r.down:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		r.got[req.RequestURI] = append(r.got[req.RequestURI], m)
	}
}

func (r *receiver) set(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// wait returns the first message at the path about the commit, and how many came there.
func (r *receiver) wait(t *testing.T, path, commit string) (message.Message, int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		r.mu.Lock()
		for _, m := range r.got[path] {
			if string(m.Revision) == commit {
				defer r.mu.Unlock()
				return m, len(r.got[path])
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing about %s came to %s: %+v; and what is no message: %q", commit, path, r.got, r.odd)
		}
		r.mu.Unlock()
	}
}

const (
	hookSecret  = "T0/B0/hunter2"
	pagerSecret = "swordfish"
	// A program of two lines that tells the receiver, by a bash that can talk to the network.
	pager = `m=$(cat); s=$(cat "$CREDENTIALS_DIRECTORY/secret"); exec 3<>/dev/tcp/HOST/PORT; ` +
		`printf "POST /pager/%s HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n%s" "$s" "${#m}" "$m" >&3; head -1 <&3 | grep -q " 200 "`
)

// A promoted commit and one that was rolled back are told to a web hook and to a program; what could not be told when the
// agent was killed is told by the next one; nobody finds the secrets.
func TestReceiversAreTold(t *testing.T) {
	f := newFleet(t)
	r := &receiver{got: map[string][]message.Message{}}
	url := must[string](t)(f.ServeHTTP(r))
	host, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	program := strings.NewReplacer("HOST", host, "PORT", port, `\`, `\\`, `"`, `\"`).Replace(pager)
	settings := must[string](t)(f.Repo().File("config.toml"))
	must[string](t)(f.Repo().Commit("tell", map[string]string{"config.toml": settings + `
[notify]
command = ["/bin/bash", "-c", "` + program + `"]
command_secret_file = "/var/lib/secrets/pager"

[[notify.webhooks]]
name = "chat"
url = "` + url + `/hooks/{secret}"
secret_file = "/var/lib/secrets/chat"
`}))
	web := f.up("web1")[0]
	check(t, web.Write("/var/lib/secrets/chat", hookSecret+"\n", 0o600))
	check(t, web.Write("/var/lib/secrets/pager", pagerSecret, 0o600))
	check(t, web.Write("/usr/lib/systemd/catalog/infra-agent.catalog", string(must[[]byte](t)(os.ReadFile("../packaging/infra-agent.catalog"))), 0o644))
	must[string](t)(web.Run(t.Context(), "journalctl", "--update-catalog"))
	web.watchCommands()
	const chat, page = "/hooks/" + hookSecret, "/pager/" + pagerSecret

	good := f.edit("roles/web.nix", "VERSION=1", "VERSION=2")
	s := web.wait("promoted", ended(reconcile.ResultPromoted, good))
	o, _ := last(s)
	for _, path := range []string{chat, page} {
		m, n := r.wait(t, path, good)
		if m.Kind != reconcile.NoticePromoted || m.Deployment != o.ID || m.To != o.To || n != 1 {
			t.Errorf("%s got %d messages, and of the promotion %+v", path, n, m)
		}
	}

	r.set(true)
	running := web.toplevel(lab.CurrentSystem)
	bad := f.edit("roles/web.nix", "ExecStart=/bin/sleep infinity", "ExecStart=/bin/false")
	web.rolledBack(bad, running, reconcile.ReasonUnit)
	web.wait("a warning about the receiver", func(s control.Status) bool {
		return strings.Contains(strings.Join(s.Warnings, "\n"), "receiver chat: it answers 500 Internal Server Error")
	})
	if got := web.metric(`infra_agent_notifications_pending{receiver="chat"}`); got != 1 {
		t.Errorf("%v notices are pending, want 1", got)
	}
	must[string](t)(web.Run(t.Context(), "systemctl", "kill", "--signal=KILL", "infra-agent.service"))
	r.set(false)
	for _, path := range []string{chat, page} {
		m, n := r.wait(t, path, bad)
		if m.Kind != reconcile.NoticeRolledBack || m.Reason != reconcile.ReasonUnit || m.Urgency != reconcile.UrgencyWarning || n != 2 {
			t.Errorf("%s got %d messages, and of the rollback %+v", path, n, m)
		}
	}
	web.wait("no warning any more", func(s control.Status) bool { return !strings.Contains(strings.Join(s.Warnings, "\n"), "receiver") })
	if len(r.odd) > 0 {
		t.Errorf("the receiver got %q", r.odd)
	}

	entry := must[string](t)(web.Run(t.Context(), "journalctl", "--no-pager", "-x", "MESSAGE_ID="+journal.MessageIDs[reconcile.NoticeRolledBack], "INFRA_AGENT_REVISION="+bad))
	if !strings.Contains(entry, "rolled back ("+bad[:8]+", unit): ") || !strings.Contains(entry, "Subject: A new system was rolled back") || !strings.Contains(entry, "of commit "+bad) {
		t.Errorf("the journal says of the rollback:\n%s", entry)
	}
	if n := strings.Count(entry, "rolled back ("); n != 1 {
		t.Errorf("it says so %d times", n)
	}
	web.keepsQuiet("hunter2", pagerSecret)
}

// What a person does, or must know, is told in the receiver's own words: a suspension, that it lasts, commits
// that cannot be deployed, a switch by hand.
func TestAPersonIsTold(t *testing.T) {
	f := newFleet(t)
	var mu sync.Mutex
	var got []string
	url := must[string](t)(f.ServeHTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+" "+string(body))
	})))
	settings := must[string](t)(f.Repo().File("config.toml"))
	must[string](t)(f.Repo().Commit("tell", map[string]string{"config.toml": settings + `
[notify]
held_after = "3s"

[[notify.webhooks]]
url = "` + url + `/api/annotations"
headers = ["Authorization: Bearer {secret}"]
secret_file = "/var/lib/secrets/grafana"
events = ["suspended", "held", "resumed", "evaluation_failed", "build_failed", "drift"]
template = '{"tags": ["{event}"], "text": "{text}"}'
`}))
	web := f.up("web1")[0]
	check(t, web.Write("/var/lib/secrets/grafana", hookSecret+"\n", 0o600))
	wait := func(want string) {
		t.Helper()
		want = "application/json Bearer " + hookSecret + " " + want
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			mu.Lock()
			there := slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) })
			all := strings.Join(got, "\n")
			mu.Unlock()
			if there {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s did not come:\n%s", want, all)
			}
		}
	}
	must[string](t)(web.agent("suspend", `the "database" moves`))
	wait(`{"tags": ["suspended"], "text": "web1: suspended (suspend): the \"database\" moves`)
	wait(`{"tags": ["held"], "text": "web1: held for `)
	must[string](t)(web.agent("resume"))
	wait(`{"tags": ["resumed"], "text": "web1: resumed"}`)

	broken := f.edit("roles/web.nix", "{ ... }: {", "{ ... }: throw \"no\" {")
	wait(`{"tags": ["evaluation_failed"], "text": "web1: evaluation failed (` + broken[:8] + `, evaluate): `)
	fails := f.edit("roles/web.nix", "throw \"no\" {", "{ buildFails = true;")
	wait(`{"tags": ["build_failed"], "text": "web1: build failed (` + fails[:8] + `, build): `)

	must[string](t)(web.agent("suspend", "a switch by hand"))
	third := f.edit("roles/web.nix", "buildFails = true;", "etc.web = \"3\\n\";")
	system := must[string](t)(web.Build(t.Context(), third))
	for _, command := range [][]string{
		{system + "/bin/switch-to-configuration", "test"},
		{"nix-env", "--profile", lab.Profile, "--set", system},
		{system + "/bin/switch-to-configuration", "boot"},
	} {
		must[string](t)(web.Run(t.Context(), command...))
	}
	wait(`{"tags": ["drift"], "text": "web1: changed by hand (drift): a person switched to another system"}`)
}
