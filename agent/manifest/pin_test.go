package manifest

import (
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

const (
	webPath = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system-web-01-25.11"
	// As niks3 answers it.
	niks3 = `[{"name":"db-01","store_path":"/nix/store/0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6-nixos-system-db-01-25.11","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-30T12:00:00Z"},
{"name":"web-01","store_path":"` + webPath + `","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-31T12:00:00Z"}]
`
)

func TestParsePin(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	want := reconcile.Pin{Toplevel: webPath, At: at}
	for _, c := range []struct {
		name, text, pin string
		modified        time.Time
		says            string // "": it is read
	}{
		{"a path", webPath, "", at, ""},
		{"a path with a newline", webPath + "\n", "", at.In(time.FixedZone("", 3600)), ""},
		{"niks3's list", niks3, "web-01", time.Time{}, ""},
		{"niks3's list, with keys of a later version", strings.ReplaceAll(niks3, `"name"`, `"size":1,"name"`), "web-01", time.Time{}, ""},
		{"a path without a date", webPath, "", time.Time{}, "the pin has no date"},
		{"nothing", "", "", at, "want the store path of a system"},
		{"two paths", webPath + "\n" + webPath, "", at, "want the store path of a system"},
		{"a page", "<html>" + strings.Repeat("x", 1000), "", at, "want the store path of a system"},
		{"a derivation", webPath + ".drv", "", at, "want the store path of a system"},
		{"a path in a path", webPath + "/bin/x", "", at, "want the store path of a system"},
		{"an option", "--option", "", at, "want the store path of a system"},
		{"a path out of the store", "/nix/store/../../tmp/x", "", at, "want the store path of a system"},
		{"a list, and no name", niks3, "", at, "want the store path of a system"},
		{"another name", niks3, "mail-01", time.Time{}, `the list has no pin "mail-01"`},
		{"a name twice", strings.Replace(niks3, "db-01", "web-01", 1), "web-01", time.Time{}, `the list has the pin "web-01" twice`},
		{"half a list", niks3[:100], "web-01", time.Time{}, "the list of pins cannot be read: it ends too early"},
		{"more than a list", niks3 + niks3, "web-01", time.Time{}, "something follows its end"},
		{"an error of the server", `{"error":"no"}`, "web-01", time.Time{}, "cannot unmarshal object"},
		{"no date in the list", strings.ReplaceAll(niks3, "updated_at", "changed_at"), "web-01", at, "the pin has no date"},
		{"a date that is none", strings.ReplaceAll(niks3, "2026-01-31T12:00:00Z", "today"), "web-01", time.Time{}, "the list of pins cannot be read"},
		{"no path in the list", strings.ReplaceAll(niks3, "store_path", "path"), "web-01", time.Time{}, `the list has no pin "web-01"`},
	} {
		got, err := ParsePin([]byte(c.text), c.pin, c.modified)
		switch {
		case c.says == "" && (err != nil || got != want):
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, want)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 300):
			t.Errorf("%s: got %+v, %v, want an error that says %q", c.name, got, err, c.says)
		}
	}
}

func TestParseStorePath(t *testing.T) {
	const right = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-infra-agent-manifest"
	if got, err := ParseStorePath([]byte(right + "\n")); err != nil || got != right {
		t.Errorf("got %q, %v", got, err)
	}
	for _, wrong := range []string{"", webPath, right + "/x", right + ".drv", "/nix/store/../x-infra-agent-manifest", "<html>"} {
		if got, err := ParseStorePath([]byte(wrong)); err == nil {
			t.Errorf("%q is taken for the path of manifests: %q", wrong, got)
		}
	}
}

func TestOpenSigned(t *testing.T) {
	right := Source{Commit: commit, Tree: tree}
	if m, err := OpenSigned([]byte(twoText), right); err != nil || len(m.Nodes) != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
	other := reconcile.Commit("1111111111111111111111111111111111111111")
	for _, of := range []Source{{Commit: other, Tree: tree}, {Commit: commit, Tree: string(other)}} {
		if m, err := OpenSigned([]byte(twoText), of); err == nil {
			t.Errorf("a manifest of %s is taken for one of %+v: %+v", commit, of, m)
		}
	}
	if m, err := OpenSigned([]byte(twoText[:50]), right); err == nil {
		t.Errorf("half of one is taken: %+v", m)
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add([]byte(webPath+"\n"), "")
	f.Add([]byte(niks3), "web-01")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		pin, err := ParsePin(data, name, time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
		if err == nil && (!storePath.MatchString(string(pin.Toplevel)) || pin.At.IsZero() || pin.At.Location() != time.UTC) {
			t.Errorf("%q of %v is taken", pin.Toplevel, pin.At)
		}
	})
}
