package message

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

var rolledBack = Of("web1", reconcile.Notice{
	ID: "rolled_back/d1", Kind: reconcile.NoticeRolledBack, At: time.Date(2026, 5, 4, 12, 0, 0, 250e6, time.UTC), Deployment: "d1",
	Revision: "1234567890abcdef1234567890abcdef12345678", From: "/nix/store/a", To: "/nix/store/b", Reason: reconcile.ReasonCheck,
	Why: "web is \"red\"\nfor 2 minutes", Since: time.Date(2026, 5, 4, 11, 58, 0, 0, time.UTC),
})

// The document is a contract: what stands here, people's programs read.
func TestTheDocument(t *testing.T) {
	const want = `{"version":1,"node":"web1","urgency":"warning","text":"web1: rolled back (12345678, check): web is \"red\"",` +
		`"id":"rolled_back/d1","event":"rolled_back","at":"2026-05-04T12:00:00.25Z","deployment":"d1",` +
		`"revision":"1234567890abcdef1234567890abcdef12345678","from":"/nix/store/a","to":"/nix/store/b","reason":"check",` +
		`"since":"2026-05-04T11:58:00Z","why":"web is \"red\"\nfor 2 minutes"}` + "\n"
	body, mediaType := rolledBack.Body("")
	if string(body) != want || mediaType != "application/json" {
		t.Errorf("%s:\n got %s\nwant %s", mediaType, body, want)
	}
}

func TestATemplateGetsValues(t *testing.T) {
	const js, plain = "application/json", "text/plain; charset=utf-8"
	for _, c := range []struct{ template, want, mediaType string }{
		{`{text}`, `web1: rolled back (12345678, check): web is "red"`, plain},
		{`[{node}] {event} {urgency} {at} {commit}`, `[web1] rolled_back warning 2026-05-04T12:00:00Z 12345678`, plain},
		{`{"text": "{why}"}`, `{"text": "web is \"red\"\nfor 2 minutes"}`, js},
		{` {"time": {at_ms}, "tags": ["{event}"], "priority": {priority}}`, ` {"time": 1777896000250, "tags": ["rolled_back"], "priority": 4}`, js},
		{`["{id}", "{deployment}", "{from}", "{to}", "{reason}", "{gate}"]`, `["rolled_back/d1", "d1", "/nix/store/a", "/nix/store/b", "check", ""]`, js},
		{`no value, and braces {} {Text}`, `no value, and braces {} {Text}`, plain},
	} {
		body, mediaType := rolledBack.Body(Template(c.template))
		if string(body) != c.want || mediaType != c.mediaType {
			t.Errorf("%s:\n got %s (%s)\nwant %s (%s)", c.template, body, mediaType, c.want, c.mediaType)
		}
		if problem := Template(c.template).Problem(); problem != "" {
			t.Errorf("%s: %s", c.template, problem)
		}
	}
}

func TestATemplateWithAMistake(t *testing.T) {
	for template, want := range map[string]string{
		`{txt}`:                   "there is no value {txt}: there are {at}, {at_ms}, {commit}, ",
		`{"text": {text}}`:        "looks like JSON and is none",
		`{"text": "{text}"`:       "looks like JSON and is none",
		`{"a": "{at}", "b": {b}}`: "there is no value {b}",
	} {
		if got := Template(template).Problem(); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
}

// Whatever a commit or a program says, a text in JSON stays JSON.
func FuzzTemplateStaysJSON(f *testing.F) {
	f.Add("\"}\\\x00\n{text}")
	f.Fuzz(func(t *testing.T, why string) {
		body, _ := Of(why, reconcile.Notice{Kind: reconcile.NoticeHeld, Why: why}).Body(`{"a": "{why}", "b": "{text}"}`)
		if !json.Valid(body) {
			t.Errorf("%q is no JSON", body)
		}
	})
}
