package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// FuzzParse: no panic, and what is accepted means the same when it is written anew.
func FuzzParse(f *testing.F) {
	full, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(full))
	f.Add(remote)
	f.Add("nod = 1\n[checks]\na = false")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse("fuzz", []byte(text))
		if err != nil {
			if _, ok := errors.AsType[*strict.Error](err); !ok || err.Error() == "" {
				t.Fatalf("Parse: %v, want a *strict.Error with problems", err)
			}
			return
		}
		var raw map[string]any
		var again strings.Builder
		if err := toml.Unmarshal([]byte(text), &raw); err != nil {
			t.Fatal(err)
		}
		if err := toml.NewEncoder(&again).Encode(raw); err != nil {
			return // the library cannot write what it read, such as [1, "a"]
		}
		second, err := Parse("again", []byte(again.String()))
		if err != nil {
			t.Fatalf("written anew it is refused: %v\n%s", err, again.String())
		}
		if diff := cmp.Diff(got, second, cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())); diff != "" {
			t.Fatalf("written anew it means something else (-first +second):\n%s", diff)
		}
	})
}
