package nix

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Numbers of Nix's internal-json log format (src/libutil/include/nix/util/logging.hh).
const (
	actCopyPath   = 100
	actCopyPaths  = 103
	actBuilds     = 104
	resBuildLog   = 101
	resProgress   = 105
	levelError    = 0
	keepBuildLogs = 20
)

// message is one line of the internal-json format, after its "@nix " prefix.
type message struct {
	Action string            `json:"action"` // start, stop, result, msg
	ID     uint64            `json:"id"`
	Type   int               `json:"type"`
	Level  int               `json:"level"`
	Msg    string            `json:"msg"`
	Fields []json.RawMessage `json:"fields"`
}

// buildLog reads the log of a build: progress for the status, and the last
// lines for the error.
type buildLog struct {
	report   func(reconcile.Progress)
	kinds    map[uint64]int
	transfer map[uint64][2]int64 // done and expected bytes by activity
	now      reconcile.Progress
	errors   []string // messages of level error
	builders []string // last lines that builders printed
	plain    []string // lines that are no internal-json
}

func newBuildLog(report func(reconcile.Progress)) *buildLog {
	return &buildLog{report: report, kinds: map[uint64]int{}, transfer: map[uint64][2]int64{}}
}

func (l *buildLog) line(text string) {
	raw, is := strings.CutPrefix(text, "@nix ")
	if !is {
		l.plain = keepLast(l.plain, stripColour(text))
		return
	}
	var m message
	if json.Unmarshal([]byte(raw), &m) != nil {
		return // a line of a newer format: it only costs progress
	}
	switch m.Action {
	case "start":
		l.kinds[m.ID] = m.Type
	case "stop":
		delete(l.kinds, m.ID)
	case "msg":
		if m.Level == levelError {
			l.errors = keepLast(l.errors, stripColour(m.Msg))
		}
	case "result":
		l.result(m)
	}
}

func (l *buildLog) result(m message) {
	switch m.Type {
	case resBuildLog:
		var s string
		if len(m.Fields) > 0 && json.Unmarshal(m.Fields[0], &s) == nil {
			l.builders = keepLast(l.builders, stripColour(s))
		}
	case resProgress:
		var n [2]int64 // done, expected; running and failed follow
		for i := range n {
			if i >= len(m.Fields) || json.Unmarshal(m.Fields[i], &n[i]) != nil {
				return
			}
		}
		switch l.kinds[m.ID] {
		case actBuilds:
			l.now.Built, l.now.ToBuild = int(n[0]), int(n[1])
		case actCopyPaths:
			l.now.Copied, l.now.ToCopy = int(n[0]), int(n[1])
		case actCopyPath: // the file that it downloads has an activity of its own
			was := l.transfer[m.ID]
			l.transfer[m.ID] = n
			l.now.Bytes += n[0] - was[0]
			l.now.BytesAll += n[1] - was[1]
		default:
			return
		}
		l.report(l.now)
	}
}

// explain makes the error of a failed build from what the log said.
func (l *buildLog) explain(what string, err error) error {
	if _, ran := errors.AsType[*command.ExitError](err); !ran {
		return fmt.Errorf("%s: %w", what, err)
	}
	said := l.errors
	if len(said) == 0 {
		said = l.plain
	}
	text := explained(strings.Split(strings.Join(said, "\n"), "\n"))
	if len(l.builders) > 0 {
		text += "\nlast lines of the build:\n" + strings.Join(l.builders, "\n")
	}
	return fmt.Errorf("%s: %s", what, text)
}

func keepLast(lines []string, line string) []string {
	if len(lines) == keepBuildLogs {
		lines = append(lines[:0], lines[1:]...)
	}
	return append(lines, line)
}
