package journal

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/infra-agent/infra-agent/reconcile"
)

// An entry is what the journal gets.
type entry struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

// logs returns a logger and what the journal gets of it.
func logs(level slog.Level) (*slog.Logger, *[]entry) {
	var got []entry
	h := &Handler{Level: level, Otherwise: slog.DiscardHandler, send: func(message string, p journal.Priority, fields map[string]string) error {
		got = append(got, entry{message, p, fields})
		return nil
	}}
	return slog.New(h), &got
}

func TestARecordBecomesAnEntry(t *testing.T) {
	log, got := logs(slog.LevelInfo)
	log.Debug("small")
	log.Info("built", "system", reconcile.Toplevel("/nix/store/x"), "took", 90*time.Second)
	log.With("unit", "guard").WithGroup("g").Warn("poll failed", "err", errors.New("no route\nto host"), slog.Group("a", "b", 1))
	log.Error("failed", "job", reconcile.JobKey{Kind: "fetch", Of: "main"}, "at", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "no", "", "x="+strings.Repeat("é", 80), "y")
	log.Log(t.Context(), slog.LevelError+4, "worse")
	want := []entry{
		{"built system=/nix/store/x took=1m30s", journal.PriInfo, map[string]string{"INFRA_AGENT_SYSTEM": "/nix/store/x", "INFRA_AGENT_TOOK": "1m30s"}},
		{`poll failed unit=guard g.err="no route\nto host" g.a.b=1`, journal.PriWarning, map[string]string{
			"INFRA_AGENT_UNIT": "guard", "INFRA_AGENT_G_ERR": "no route\nto host", "INFRA_AGENT_G_A_B": "1",
		}},
		{`failed job="fetch main" at=2026-01-02T03:04:05Z no="" x=` + strings.Repeat("é", 80) + "=y", journal.PriErr, map[string]string{
			"INFRA_AGENT_JOB": "fetch main", "INFRA_AGENT_AT": "2026-01-02T03:04:05Z", "INFRA_AGENT_NO": "", "INFRA_AGENT_X" + strings.Repeat("_", 51): "y",
		}},
		{"worse", journal.PriErr, map[string]string{}},
	}
	if len(*got) != len(want) {
		t.Fatalf("the journal has %v", *got)
	}
	for i, w := range want {
		w.fields["SYSLOG_IDENTIFIER"] = "infra-agent"
		if g := (*got)[i]; g.message != w.message || g.priority != w.priority || !maps.Equal(g.fields, w.fields) {
			t.Errorf("entry %d:\n got %+v\nwant %+v", i+1, g, w)
		}
	}
}

// The message of a notice is its text; all the rest is fields, and one of them is the id.
func TestANoticeHasItsMessageID(t *testing.T) {
	log, got := logs(slog.LevelInfo)
	log.Warn("rolled back: web is red", "event", "rolled_back", "deployment", "d1")
	log.Info("of a newer agent", "event", "danced")
	want := entry{"rolled back: web is red", journal.PriWarning, map[string]string{
		"MESSAGE_ID": "a17c782ee9cb471f97de4f7eec1e5ff5", "INFRA_AGENT_EVENT": "rolled_back", "INFRA_AGENT_DEPLOYMENT": "d1", "SYSLOG_IDENTIFIER": "infra-agent",
	}}
	if g := (*got)[0]; g.message != want.message || !maps.Equal(g.fields, want.fields) {
		t.Errorf("the entry is %+v, want %+v", g, want)
	}
	if _, has := (*got)[1].fields["MESSAGE_ID"]; has {
		t.Errorf("an unknown event has an id: %+v", (*got)[1])
	}
}

// What the journal does not take is not lost.
func TestWithoutAJournalItIsText(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(&Handler{
		Level: slog.LevelInfo, Otherwise: slog.NewTextHandler(&out, nil),
		send: func(string, journal.Priority, map[string]string) error { return errors.New("no socket") },
	})
	log.With("unit", "guard").WithGroup("g").Info("going back", "old", "/nix/store/x")
	if _, line, _ := strings.Cut(out.String(), "level="); line != "INFO msg=\"going back\" unit=guard g.old=/nix/store/x\n" {
		t.Errorf("standard error has %q", out.String())
	}
}
