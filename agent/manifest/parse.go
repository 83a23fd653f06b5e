package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// MaxBytes bounds a manifest: one of 10,000 nodes has 2.5 MB, and the registry of as many
// 5 MB as JSON.
const MaxBytes = 16 << 20

// Parse reads a manifest. One of schema 1 must be the text that [Manifest.Encode] writes:
// then no two programs read it in two ways. Of one that is newer, and may be read, what is
// not known here is left out.
func Parse(data []byte) (*Manifest, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("it has %d bytes or more, the limit is %d", len(data), MaxBytes)
	}
	var version struct {
		Schema    int `json:"schema"`
		MinReader int `json:"min_reader"`
	}
	if err := decode(data, &version, false); err != nil {
		return nil, err
	}
	later := version.Schema > Schema && version.MinReader >= 1 && version.MinReader <= Schema
	switch {
	case later:
	case version.Schema > Schema:
		return nil, fmt.Errorf("this version reads schema %d, not %d (hint: deploy a newer infra-agent first, by a manifest that an older one writes)", Schema, version.Schema)
	case version.Schema != Schema:
		return nil, fmt.Errorf(`this version reads schema %d, not %d (hint: is it a manifest? "infra-agent registry manifest" writes them)`, Schema, version.Schema)
	}
	var file struct {
		head
		Nodes map[string]entry `json:"nodes"`
	}
	if err := decode(data, &file, !later); err != nil {
		return nil, err
	}
	m := &Manifest{Commit: file.Commit, Tree: file.Tree, Created: file.Created.UTC(), Nix: file.Nix, Registry: file.Registry, Nodes: map[string]Node{}}
	for name, e := range file.Nodes {
		m.Nodes[name] = Node{e.Configuration, e.System, reconcile.Toplevel(storeDir + e.Toplevel), reconcile.Derivation(storeDir + e.Derivation)}
	}
	if later {
		return m, m.check()
	}
	want, err := m.Encode()
	if err == nil && !bytes.Equal(data, want) {
		err = fmt.Errorf(`line %d is not as infra-agent writes it (hint: "infra-agent registry manifest" makes it, and nothing may change it)`, lineOfDifference(data, want))
	}
	return m, err
}

func decode(data []byte, into any, strictly bool) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if strictly {
		d.DisallowUnknownFields()
	}
	err := d.Decode(into)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early (hint: it was not written or not sent to its end)")
	}
	if at, is := errors.AsType[*json.SyntaxError](err); is {
		return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:min(int(at.Offset), len(data))], []byte("\n")), at)
	}
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}

// lineOfDifference is the first line of a that is not the one of b.
func lineOfDifference(a, b []byte) int {
	line := 1
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			break
		}
		if a[i] == '\n' {
			line++
		}
	}
	return line
}

// Lengths are counted apart: written as repetitions they take hundreds of kilobytes.
var (
	storeName = regexp.MustCompile(`^[0-9abcdfghijklmnpqrsvwxyz]+-[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*$`)
	system    = regexp.MustCompile(`^[a-z0-9_]+-[a-z0-9_]+$`)
	version   = regexp.MustCompile(`^[0-9A-Za-z.+~_-]+$`)
)

func isVersion(text string) bool { return len(text) <= 64 && version.MatchString(text) }

func isSystem(text string) bool { return len(text) <= 64 && system.MatchString(text) }

// isStorePath knows store paths as Nix has them: 32 digits of a hash in its base 32, and a name of at most 211 characters.
func isStorePath(text string) bool {
	const hash, name = 32, 211
	path, is := strings.CutPrefix(text, "/nix/store/")
	return is && strings.IndexByte(path, '-') == hash && len(path) <= hash+1+name && storeName.MatchString(path)
}

// check says what makes no sense.
func (m *Manifest) check() error {
	if _, err := reconcile.ParseCommit(string(m.Commit)); err != nil {
		return err
	}
	if _, err := reconcile.ParseCommit(m.Tree); err != nil {
		return fmt.Errorf("tree %q: want its hash by git", m.Tree)
	}
	if at := m.Created; at.Location() != time.UTC || !at.Equal(at.Truncate(time.Second)) || at.Year() < 2020 || at.Year() > 9999 {
		return fmt.Errorf("created %v: want a time such as 2026-01-31T12:00:00Z", at)
	}
	if !isVersion(m.Nix) {
		return fmt.Errorf("nix %q: want a version such as 2.31.2", m.Nix)
	}
	if len(m.Nodes) == 0 {
		return errors.New("it has no nodes")
	}
	for name, n := range m.Nodes {
		if err := n.check(name); err != nil {
			return fmt.Errorf("node %q: %w", name, err)
		}
	}
	return nil
}

func (n Node) check(name string) error {
	switch {
	case !isName(name):
		return errors.New("want a name of letters, digits and . _ -")
	case n.Configuration == name || n.Configuration != "" && !isName(n.Configuration):
		return fmt.Errorf("configuration %q: want the name of its output where that is not the node's", n.Configuration)
	case !isSystem(n.System):
		return fmt.Errorf("system %q: want one such as x86_64-linux", n.System)
	case !isStorePath(string(n.Toplevel)) || strings.HasSuffix(string(n.Toplevel), ".drv"):
		return fmt.Errorf("toplevel %q: want the store path of a system", n.Toplevel)
	case !isStorePath(string(n.Derivation)) || !strings.HasSuffix(string(n.Derivation), ".drv"):
		return fmt.Errorf("derivation %q: want the store path of one", n.Derivation)
	}
	return nil
}

// isName reports whether a node may be called so: its manifest's file is, and a URL has it.
func isName(name string) bool {
	return name != "" && len(name) <= 200 && name[0] != '.' &&
		strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}
