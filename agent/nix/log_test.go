package nix

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// play feeds a log to the reader and returns the progress that it reported,
// without repeats.
func play(log string) (*buildLog, []reconcile.Progress) {
	var seen []reconcile.Progress
	l := newBuildLog(func(p reconcile.Progress) { seen = append(seen, p) })
	for line := range strings.Lines(log) {
		l.line(strings.TrimSuffix(line, "\n"))
	}
	return l, slices.Compact(seen)
}

func TestProgress(t *testing.T) {
	logs := fixtures(t, "build.txtar")
	tests := map[string][]reconcile.Progress{
		"built": { // Nix finds out step by step what it takes
			{ToBuild: 1},
			{ToBuild: 2},
			{ToBuild: 3},
			{Built: 1, ToBuild: 3},
			{Built: 2, ToBuild: 3},
			{Built: 3, ToBuild: 3},
		},
		"failed": {{ToBuild: 1}, {}},
		"fetched": {
			{},
			{ToCopy: 1},
			{ToCopy: 1, Bytes: 8192, BytesAll: 500112},
			{ToCopy: 1, Bytes: 16384, BytesAll: 500112},
			{ToCopy: 1, Bytes: 499712, BytesAll: 500112},
			{Copied: 1, ToCopy: 1, Bytes: 499712, BytesAll: 500112},
		},
	}
	for name, want := range tests {
		if _, got := play(logs[name]); !slices.Equal(got, want) {
			t.Errorf("%s: progress was\n%+v, want\n%+v", name, got, want)
		}
	}
}

// Two copies at once add up, and what has ended still counts.
func TestProgressOfSeveralCopies(t *testing.T) {
	_, got := play(`@nix {"action":"start","id":1,"type":100}
@nix {"action":"start","id":2,"type":100}
@nix {"action":"result","id":1,"type":105,"fields":[10,100,0,0]}
@nix {"action":"result","id":2,"type":105,"fields":[5,50,0,0]}
@nix {"action":"result","id":1,"type":105,"fields":[100,100,0,0]}
@nix {"action":"stop","id":1}
@nix {"action":"result","id":2,"type":105,"fields":[50,50,0,0]}
`)
	want := []reconcile.Progress{{Bytes: 10, BytesAll: 100}, {Bytes: 15, BytesAll: 150}, {Bytes: 105, BytesAll: 150}, {Bytes: 150, BytesAll: 150}}
	if !slices.Equal(got, want) {
		t.Errorf("progress was %+v, want %+v", got, want)
	}
}

func TestAFailedBuildIsExplained(t *testing.T) {
	failed := &command.ExitError{Args: []string{"nixos-rebuild"}, Code: 1}
	l, _ := play(fixtures(t, "build.txtar")["failed"])
	err := l.explain("build web", failed)
	want := "build web: builder for '/nix/store/xw8gappfnr13649lna3gfp4xpgpcjmd2-nixos-system-web.drv' failed with exit code 3\n" +
		"last lines of the build:\none\ntwo"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	l, _ = play("building the system configuration...\nnixos-rebuild: \x1b[1munknown option\x1b[0m\n")
	if err := l.explain("build web", failed); err.Error() != "build web: building the system configuration...\nnixos-rebuild: unknown option" {
		t.Errorf("without Nix's own words: got %v", err)
	}
	l, _ = play("")
	if err := l.explain("build web", failed); err.Error() != "build web: no message" {
		t.Errorf("without a word: got %v", err)
	}
	cause := errors.New("not done within 2h0m0s")
	if err := l.explain("build web", cause); !errors.Is(err, cause) || err.Error() != "build web: not done within 2h0m0s" {
		t.Errorf("cancelled: got %v, want the cause", err)
	}
}

func TestOnlyTheLastLinesOfABuildAreKept(t *testing.T) {
	var log strings.Builder
	for i := range 100 {
		fmt.Fprintf(&log, "@nix {\"action\":\"result\",\"id\":1,\"type\":101,\"fields\":[\"line %d\"]}\n", i)
	}
	l, _ := play(log.String())
	if len(l.builders) != 20 || l.builders[0] != "line 80" || l.builders[19] != "line 99" {
		t.Errorf("got %q, want lines 80 to 99", l.builders)
	}
}

func FuzzBuildLog(f *testing.F) {
	for _, log := range fixtures(f, "build.txtar") {
		f.Add(log)
	}
	f.Add("@nix {\"action\":\"result\",\"type\":105,\"fields\":[]}\n@nix 1\n@nix {\"action\":\"result\",\"type\":101,\"fields\":[1]}\n\x1b[\n")
	f.Fuzz(func(t *testing.T, log string) {
		l, _ := play(log)
		for _, kept := range [][]string{l.errors, l.builders, l.plain} {
			if len(kept) > keepBuildLogs {
				t.Errorf("%d lines are kept, want at most %d", len(kept), keepBuildLogs)
			}
		}
		if l.explain("build", &command.ExitError{Args: []string{"nix"}, Code: 1}).Error() == "" {
			t.Error("a failure without words")
		}
	})
}
