// Package journal writes log records to systemd's journal: the message for people, and each attribute as a field that
// journalctl finds. A record with the attribute "event" is one of a [reconcile.Notice]: it carries the message id of its kind,
// by which "journalctl -x" explains it. The package knows nothing of what is logged, nor why.
package journal

import (
	"context"
	"encoding"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Event is the key of the attribute that says of which kind a notice is.
const Event = "event"

// The prefix of the fields that are the agent's own, and what systemd.journal-fields(7) allows of a name.
const (
	prefix     = "INFRA_AGENT_"
	longest    = 64 // characters of a field's name
	identifier = "infra-agent"
)

// A Handler is a [slog.Handler] of the journal.
type Handler struct {
	Level     slog.Leveler
	Otherwise slog.Handler // takes what the journal does not

	send  func(message string, priority journal.Priority, fields map[string]string) error // tests have their own
	attrs []slog.Attr                                                                     // of all records
	group string                                                                          // of the attributes to come, with a dot at its end
}

// Enabled implements [slog.Handler].
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.Level.Level() }

// WithAttrs implements [slog.Handler].
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append(next.attrs[:len(next.attrs):len(next.attrs)], flat(h.group, attrs)...)
	next.Otherwise = h.Otherwise.WithAttrs(attrs)
	return &next
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	next := *h
	next.group += name + "."
	next.Otherwise = h.Otherwise.WithGroup(name)
	return &next
}

// Handle implements [slog.Handler].
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	attrs := h.attrs[:len(h.attrs):len(h.attrs)]
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, flat(h.group, []slog.Attr{a})...)
		return true
	})
	message, fields := r.Message, map[string]string{"SYSLOG_IDENTIFIER": identifier}
	for _, a := range attrs {
		value := text(a.Value)
		fields[fieldOf(a.Key)] = value
		message += " " + a.Key + "=" + quoted(value)
	}
	if kind, is := fields[fieldOf(Event)]; is { // its text says it all
		message = r.Message
		if id := MessageIDs[reconcile.NoticeKind(kind)]; id != "" {
			fields["MESSAGE_ID"] = id
		}
	}
	send := h.send
	if send == nil {
		send = journal.Send
	}
	if err := send(message, priorityOf(r.Level), fields); err != nil {
		return h.Otherwise.Handle(ctx, r)
	}
	return nil
}

// flat takes groups apart: the keys of what is in them begin with their names.
func flat(group string, attrs []slog.Attr) []slog.Attr {
	var all []slog.Attr
	for _, a := range attrs {
		value := a.Value.Resolve()
		switch {
		case value.Kind() != slog.KindGroup:
			all = append(all, slog.Attr{Key: group + a.Key, Value: value})
		case a.Key == "":
			all = append(all, flat(group, value.Group())...)
		default:
			all = append(all, flat(group+a.Key+".", value.Group())...)
		}
	}
	return all
}

// text writes a value as [slog.TextHandler] does.
func text(v slog.Value) string {
	switch {
	case v.Kind() == slog.KindTime:
		return v.Time().Format(time.RFC3339)
	case v.Kind() != slog.KindAny:
		return v.String()
	}
	if m, is := v.Any().(encoding.TextMarshaler); is {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprintf("%+v", v.Any())
}

func quoted(s string) string {
	odd := func(r rune) bool { return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

func fieldOf(key string) string {
	name := prefix + strings.Map(func(r rune) rune {
		if r = unicode.ToUpper(r); r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, key)
	return name[:min(longest, len(name))]
}

func priorityOf(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
