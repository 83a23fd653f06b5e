package command

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// An Output takes what a program prints, within the limits of its command.
type Output struct {
	Stdout, Stderr io.Writer
	args           []string
	out            *limited
	lines          *tail
}

// Output returns where what c prints goes. When c prints too much, end is called with an
// error that says so.
func (c Command) Output(end func(error)) *Output {
	out := &limited{max: c.MaxOutput}
	if out.max == 0 {
		out.max = maxOutput
	}
	out.over = func() { end(fmt.Errorf("%s: printed more than %d bytes", c.Args[0], out.max)) }
	lines := &tail{each: c.Stderr}
	return &Output{Stdout: out, Stderr: lines, args: c.Args, out: out, lines: lines}
}

// Kept returns what was printed to standard output so far. It panics with what
// [Command.Stderr] panicked with: it was called beside the caller, where nobody could recover.
func (o *Output) Kept() []byte {
	o.lines.flush()
	if o.lines.bug != nil {
		panic(o.lines.bug)
	}
	return o.out.kept.Bytes()
}

// End returns what the program that exited with the given status printed to standard
// output; -1: a signal ended it. The error is nil for 0, and else an [*ExitError].
func (o *Output) End(status int) ([]byte, error) {
	kept := o.Kept()
	if status == 0 {
		return kept, nil
	}
	return kept, &ExitError{Args: o.args, Code: status, Tail: o.lines.last}
}

// limited keeps up to max bytes and then calls over. It does not embed the buffer:
// io.Copy would fill it through its ReadFrom, past the limit.
type limited struct {
	kept bytes.Buffer
	max  int
	over func()
}

func (l *limited) Write(p []byte) (int, error) {
	if l.kept.Len()+len(p) > l.max {
		l.over()
		return len(p), nil
	}
	return l.kept.Write(p)
}

const (
	tailLines = 40       // lines of standard error to keep for an error
	lineBytes = 64 << 10 // of one line; the rest is dropped
)

// tail hands on whole lines and keeps the last ones.
type tail struct {
	each    func(string)
	bug     any // that each panicked with
	last    []string
	partial []byte
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		if room := lineBytes - len(t.partial); room > 0 {
			t.partial = append(t.partial, line[:min(room, len(line))]...)
		}
		if !found {
			return n, nil
		}
		t.flush()
		p = rest
	}
}

func (t *tail) flush() {
	if len(t.partial) == 0 {
		return
	}
	line := strings.TrimRight(string(t.partial), "\r")
	t.partial = t.partial[:0]
	if len(t.last) == tailLines {
		t.last = append(t.last[:0], t.last[1:]...)
	}
	t.last = append(t.last, line)
	if t.each == nil || t.bug != nil {
		return
	}
	defer func() { t.bug = recover() }()
	t.each(line)
}
