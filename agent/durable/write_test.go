package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/infra-agent/infra-agent/agent/durable"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestReplacesTheWholeFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	for _, want := range []string{"a long first content", "short", ""} {
		if err := durable.WriteFile(path, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("the file holds %q, %v, want %q", got, err, want)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o640 {
			t.Errorf("mode is %v, %v, want 0640 whatever the umask", info.Mode(), err)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %q, want the file alone", got)
	}
}

func TestReadersSeeTheOldOrTheNewContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	a, b := bytes.Repeat([]byte("a"), 1<<20), bytes.Repeat([]byte("b"), 1<<19)
	if err := durable.WriteFile(path, a, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		var errs []error
		for i := range 20 {
			errs = append(errs, durable.WriteFile(path, [][]byte{b, a}[i%2], 0o600))
		}
		written <- errors.Join(errs...)
	}()
	for {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, a) && !bytes.Equal(got, b) {
			t.Fatalf("a reader got %d bytes (%v), want one of the contents, whole", len(got), err)
		}
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

func TestAFailedWriteLeavesEverythingAsItWas(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 250) // its temporary name is longer than the file system allows
	taken := filepath.Join(dir, "taken")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, long), []byte("old"), 0o600), os.MkdirAll(filepath.Join(taken, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		want error
	}{
		{filepath.Join(dir, long), syscall.ENAMETOOLONG},
		{taken, fs.ErrExist}, // the rename fails: a directory is there
		{filepath.Join(dir, "missing", "file"), fs.ErrNotExist},
	}
	for _, tt := range tests {
		err := durable.WriteFile(tt.path, []byte("new"), 0o600)
		if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), "write "+tt.path+": ") {
			t.Errorf("WriteFile(%s) = %v, want %v", tt.path, err, tt.want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, long)); string(got) != "old" {
		t.Errorf("the old file holds %q, %v, want old", got, err)
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("the directory holds %q, want no temporary file", got)
	}
}
