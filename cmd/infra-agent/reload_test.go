package main

import (
	"io"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/infra-agent/infra-agent/agent/config"
)

func TestReload(t *testing.T) {
	const first, second = "[[source.remotes]]\nurl = \"https://git.example.org/a.git\"\n", "[[source.remotes]]\nurl = \"https://git.example.org/b.git\"\n"
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, first)
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	r := reloader{
		path: path, inForce: settings, name: nodeName(settings), log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		apply:  func(_, s config.Settings) { told = append(told, s.Source.Remotes[0].URL) },
		refuse: func(error) { told = append(told, "refused") },
	}
	for _, step := range []struct {
		text string
		want []string
	}{
		{first, nil}, // nothing changed
		{second, []string{"https://git.example.org/b.git"}},
		{"nonsense", []string{"refused"}},
		{"", []string{"refused"}},
		{second, []string{"https://git.example.org/b.git"}}, // as it was: the refusal is over
		{second, nil},
	} {
		told = nil
		write(t, path, step.text)
		r.reload()
		if !slices.Equal(told, step.want) {
			t.Errorf("after writing %q it told %q, want %q", step.text, told, step.want)
		}
	}
	told, r.name = nil, "another"
	r.reload()
	if !slices.Equal(told, []string{"https://git.example.org/b.git"}) {
		t.Errorf("of a node with another name it told %q, want the settings once more", told)
	}
}

// A file that reaches a mistake of the agent must not end it.
func TestReloadThatPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, "[[source.remotes]]\nurl = \"https://git.example.org/a.git\"\n")
	var told []string
	r := reloader{
		path: path, log: slog.New(slog.DiscardHandler),
		apply:  func(_, _ config.Settings) { panic("index out of range") },
		refuse: func(err error) { told = append(told, err.Error()) },
	}
	r.reload()
	if want := []string{"a bug in infra-agent: index out of range"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	r.apply = func(_, s config.Settings) { told = append(told, s.Source.Remotes[0].URL) }
	r.reload()
	if len(told) != 2 || told[1] != "https://git.example.org/a.git" {
		t.Errorf("told %q, want the settings once more", told)
	}
}

// TestRestartNeeded: what does not move under a deployment is told until the next start, and does not count before.
func TestRestartNeeded(t *testing.T) {
	const remote = "source.remotes = [{ url = \"/srv/fleet\" }]\n"
	parse := func(text string) config.Settings {
		t.Helper()
		s, err := config.Parse("config.toml", []byte(text+remote))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	started := parse("")
	const later = " will count at the next start (hint: systemctl restart infra-agent)"
	for text, want := range map[string]string{
		"state_dir = \"/persist/agent\"\n":                               "state_dir" + later,
		"run_dir = \"/run/fleet\"\n":                                     "run_dir" + later,
		"metrics.listen = \"\"\n":                                        "metrics" + later,
		"metrics = { listen = \"/run/m\", socket_group = \"daemon\" }\n": "metrics" + later,
		"log.level = \"debug\"\n":                                        "log" + later,
		"log.format = \"json\"\n":                                        "log" + later,
		"control.group = \"wheel\"\n":                                    "control" + later,
		"log.format = \"json\"\nrun_dir = \"/r\"\n":                      "log, run_dir" + later,
		"confirm.window = \"2m\"\n":                                      "",
	} {
		next := parse(text)
		if got := restartNeeded(started, next); got != want {
			t.Errorf("with %s it tells %q, want %q", text, got, want)
		}
		if reflect.DeepEqual(inPlace(next, started), started) != (want != "") {
			t.Errorf("with %s in force are %+v", text, inPlace(next, started))
		}
	}
}
