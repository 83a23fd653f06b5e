package main

import (
	"io"
	"log/slog"
	"path/filepath"
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
		path: path, inForce: settings, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		apply:  func(s config.Settings) { told = append(told, s.Source.Remotes[0].URL) },
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
}
