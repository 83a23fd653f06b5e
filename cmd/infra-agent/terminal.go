package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/text/width"
)

// printable is text from outside, without what would move the cursor or end the line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// cells is how many columns of a terminal a text takes: two for each character that is wide in Unicode's annex 11, and none for
// a mark on the one before. Joined emoji are taken for several, as terminals draw them.
func cells(text string) int {
	n := 0
	for _, r := range text {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// terminalOf is the terminal that w is, or nil.
func terminalOf(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return f
}

// An ink is the parameter of ECMA-48's "select graphic rendition".
type ink string

const (
	bold   ink = "1"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
	blue   ink = "34"
)

// inks says whether there are colours.
type inks bool

// inksOf is true for terminals, unless https://no-color.org's variable says otherwise.
func inksOf(w io.Writer) inks {
	return inks(terminalOf(w) != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func (on inks) paint(i ink, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + string(i) + "m" + text + "\x1b[0m"
}

// A picture is what a watched thing looks like at a moment.
type picture struct {
	at    time.Time
	text  string   // for a terminal
	facts []string // the same without what time alone changes, a line each
}

// watch shows what look sees, at once and then every so often, until ctx ends. Only
// the first look may fail: a restart, or a network that is gone for a moment, is shown.
func watch(ctx context.Context, w io.Writer, every time.Duration, look func(context.Context) (picture, error)) error {
	s := screen{w: w, terminal: terminalOf(w)}
	defer s.leave()
	for {
		p, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case err != nil && !s.began:
			return err
		case err != nil:
			p = picture{time.Now(), err.Error() + "\n", []string{err.Error()}}
		}
		if err := s.show(p); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// A screen shows one picture after the other: on a terminal in place of the one before,
// and elsewhere what is new in it.
type screen struct {
	w        io.Writer
	terminal *os.File // nil: w is none
	began    bool
	lines    int             // of the last picture on the terminal
	known    map[string]bool // facts of the last picture
}

func (s *screen) show(p picture) error {
	var b strings.Builder
	switch {
	case s.terminal != nil:
		rows := 24
		if size, err := unix.IoctlGetWinsize(int(s.terminal.Fd()), unix.TIOCGWINSZ); err == nil {
			rows = cmp.Or(int(size.Row), rows)
		}
		s.lines = redraw(&b, p.text, s.lines, rows)
	case !s.began:
		b.WriteString(p.text)
	default:
		for _, fact := range p.facts {
			if !s.known[fact] {
				fmt.Fprintf(&b, "%s %s\n", p.at.Local().Format(time.TimeOnly), fact)
			}
		}
	}
	s.began, s.known = true, map[string]bool{}
	for _, fact := range p.facts {
		s.known[fact] = true
	}
	_, err := io.WriteString(s.w, b.String())
	return err
}

// leave puts what comes next below the ^C of a terminal.
func (s *screen) leave() {
	if s.terminal != nil && s.began {
		fmt.Fprintln(s.w)
	}
}

// redraw writes text over the lines drawn before, as far as it fits a screen of so many
// rows, and returns how many lines it drew. Lines that are too wide are not wrapped, or
// there would be more of them than are counted.
func redraw(b *strings.Builder, text string, before, rows int) int {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if most := max(rows-1, 2); len(lines) > most { // the cursor has the last row
		rest := len(lines) - most + 1
		lines = append(slices.Clip(lines[:most-1]), fmt.Sprintf("... and %s below", counted(rest, "line")))
	}
	if before > 0 {
		fmt.Fprintf(b, "\x1b[%dA", before)
	}
	b.WriteString("\r\x1b[?7l") // DECAWM
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J\x1b[?7h")
	return len(lines)
}
