package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// pty opens a terminal of so many rows, and the end from which what is written to it can be read.
func pty(t *testing.T, rows uint16) (terminal, reader *os.File) {
	t.Helper()
	reader, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	fd := int(reader.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return terminal, reader
}

func TestATerminalIsDrawnInPlace(t *testing.T) {
	terminal, reader := pty(t, 4)
	s := screen{w: terminal, terminal: terminalOf(terminal)}
	for _, p := range []picture{{text: "a\nb\n"}, {text: "c\n"}, {text: "1\n2\n3\n4\n5\n"}, {text: "6\n"}} {
		if err := s.show(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := terminal.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	const want = "\r\x1b[?7la\x1b[K\r\nb\x1b[K\r\n\x1b[J\x1b[?7h" +
		"\x1b[2A\r\x1b[?7lc\x1b[K\r\n\x1b[J\x1b[?7h" +
		"\x1b[1A\r\x1b[?7l1\x1b[K\r\n2\x1b[K\r\n... and 3 lines below\x1b[K\r\n\x1b[J\x1b[?7h" + // 4 rows: 3 and the cursor's
		"\x1b[3A\r\x1b[?7l6\x1b[K\r\n\x1b[J\x1b[?7h" + "end"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != want {
		t.Errorf("drawn is\n%q\nwant\n%q (%v)", got, want, err)
	}
}

// ctrl-C ends it, without an error, below the last picture.
func TestATerminalIsLeftClean(t *testing.T) {
	terminal, reader := pty(t, 24)
	ctx, interrupt := context.WithCancel(t.Context())
	looks := 0
	err := watch(ctx, terminal, time.Microsecond, func(context.Context) (picture, error) {
		if looks++; looks == 2 {
			interrupt()
		}
		return picture{text: "a\n"}, nil
	})
	if err != nil {
		t.Errorf("it ends with %v", err)
	}
	const want = "\r\x1b[?7la\x1b[K\r\n\x1b[J\x1b[?7h\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != want {
		t.Errorf("written is\n%q\nwant\n%q (%v)", got, want, err)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	terminal, _ := pty(t, 24)
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		w             io.Writer
		noColor, term string
		want          inks
	}{
		{terminal, "", "xterm", true},
		{terminal, "1", "xterm", false},
		{terminal, "", "dumb", false},
		{file, "", "xterm", false},
		{&bytes.Buffer{}, "", "xterm", false},
	} {
		t.Setenv("NO_COLOR", tt.noColor)
		t.Setenv("TERM", tt.term)
		if got := inksOf(tt.w); got != tt.want {
			t.Errorf("with %T, NO_COLOR=%s and TERM=%s colours are %v, want %v", tt.w, tt.noColor, tt.term, got, tt.want)
		}
	}
}

// Elsewhere what is new is told, a line each; a failure does not end it but at the start.
func TestElsewhereChangesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins at 2000-01-01 00:00 UTC
		ctx, cancel := context.WithCancel(t.Context())
		pictures := []picture{
			{text: "state  idle since 1 s ago\n", facts: []string{"idle"}},
			{text: "state  idle since 6 s ago\n", facts: []string{"idle"}},
			{text: "state  building\n", facts: []string{"building", "built 1/2"}},
			{text: "state  building\n", facts: []string{"building", "built 2/2"}},
		}
		looks := 0
		var out strings.Builder
		err := watch(ctx, &out, 5*time.Second, func(context.Context) (picture, error) {
			looks++
			if looks > len(pictures) {
				if looks == len(pictures)+3 {
					cancel()
					return picture{}, ctx.Err()
				}
				return picture{}, errors.New("gone")
			}
			p := pictures[looks-1]
			p.at = time.Now()
			return p, nil
		})
		clock := func(seconds int) string {
			return time.Date(2000, 1, 1, 0, 0, seconds, 0, time.UTC).Local().Format("15:04:05")
		}
		want := "state  idle since 1 s ago\n" + clock(10) + " building\n" + clock(10) + " built 1/2\n" + clock(15) + " built 2/2\n" + clock(20) + " gone\n"
		if got := out.String(); got != want || err != nil {
			t.Errorf("told is\n%s\nwant\n%s (%v)", got, want, err)
		}
	})
	broken := errors.New("broken")
	if err := watch(t.Context(), io.Discard, time.Hour, func(context.Context) (picture, error) { return picture{}, broken }); !errors.Is(err, broken) {
		t.Errorf("a first look that fails: %v, want %v", err, broken)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"web: größer": "web: größer", "a\x1b[2J\nb\u202e\xff": "a?[2J?b?\ufffd"} {
		if got := printable(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

// Columns of a table stand below each other on a terminal, whatever script names are written in.
func TestColumnsOfATerminal(t *testing.T) {
	for text, want := range map[string]int{"": 0, "dns-01": 6, "größe": 5, "o\u0308": 1, "東京": 4, "ｗｅｂ": 6, "ﾃｽﾄ": 3, "서울": 4, "🚀": 2, "…": 1} {
		if got := cells(text); got != want {
			t.Errorf("%q takes %d cells, want %d", text, got, want)
		}
	}
	want := []string{"東京  a  x", "o\u0308     b  y", "web   c  z"}
	if got := columns([][]string{{"東京", "a", "x"}, {"o\u0308", "b", "y"}, {"web", "c", "z"}}); !slices.Equal(got, want) {
		t.Errorf("columns are %q, want %q", got, want)
	}
}
