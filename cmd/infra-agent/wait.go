package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A wait is for the end of what a verb started.
type wait struct {
	verb   string
	before control.Status // when the verb was said
	asked  time.Time
}

// wanted are the results for which a verb was said. The others with --wait are said for a node that is in sync.
var wanted = map[string][]reconcile.Result{
	"confirm":  {reconcile.ResultPromoted, reconcile.ResultSteppedBack, reconcile.ResultTested},
	"cancel":   {reconcile.ResultCancelled, reconcile.ResultTested},
	"rollback": {reconcile.ResultSteppedBack, reconcile.ResultCancelled},
}

// An ending is how it was decided.
type ending struct {
	text string
	code int
}

// follow shows what the agent does until it is decided what became of the verb.
func (w wait) follow(c *cobra.Command) (ending, error) {
	out := c.OutOrStdout()
	s := screen{w: out, terminal: terminalOf(out)}
	s.began = s.terminal == nil // elsewhere there is a line for each change
	for {
		select {
		case <-c.Context().Done():
			s.leave()
			return ending{}, errors.New("interrupted; what was started goes on")
		case <-time.After(statusEvery):
		}
		status, err := readStatus(c)
		if err != nil {
			return ending{}, err
		}
		p, err := statusPicture(status, time.Now(), inksOf(out))
		if err != nil {
			return ending{}, err
		}
		if err := s.show(p); err != nil {
			return ending{}, err
		}
		if end, is := w.decided(status); is {
			return end, nil
		}
	}
}

// decided says how it ended; false: it goes on.
func (w wait) decided(s control.Status) (ending, bool) {
	d := s.Deployment
	switch {
	case !s.Running: // a deployment may start it again
		return ending{}, false
	case s.State == "stuck":
		return ending{"stuck: " + d.Cause.Why, exitOtherwise}, true
	case d != nil && s.State == "confirming" && d.Cause.Why != "":
		return ending{"it waits for a person to confirm it or to roll it back: " + d.Cause.Why, exitHeld}, true
	case d != nil:
		return ending{}, false
	}
	over, fresh := w.over(s)
	switch {
	case wanted[w.verb] == nil:
		return w.settled(s, over, fresh)
	case fresh:
		return of(over, slices.Contains(wanted[w.verb], over.Result)), true
	case w.verb == "rollback" && w.before.Deployment == nil && s.Back != "":
		return held(s)
	case w.verb == "cancel" && w.before.Deployment == nil:
		return ending{"the node stays on the system that runs", 0}, true
	}
	return ending{"nothing was deployed", exitOtherwise}, true
}

// settled is decided for a verb that is to bring the node to what the branch describes.
func (w wait) settled(s control.Status, over reconcile.Outcome, fresh bool) (ending, bool) {
	if w.verb == "sync" {
		if silent, answered := w.polled(s); silent != "" {
			return ending{"no remote shows a commit: " + silent, exitOtherwise}, true
		} else if !answered {
			return ending{}, false
		}
	}
	switch {
	case s.State == "idle" && s.InSync && fresh:
		return of(over, true), true
	case s.State == "idle" && s.InSync:
		return ending{"in sync: " + titled(s.Anchor, s.Subject), 0}, true
	case s.State == "held" && fresh && over.Result != reconcile.ResultPromoted:
		return of(over, false), true
	}
	return held(s)
}

// polled says whether a remote has answered since, or why none has.
func (w wait) polled(s control.Status) (silent string, answered bool) {
	var why []string
	for _, r := range s.Remotes {
		switch {
		case !r.At.After(w.asked):
			return "", false
		case r.Commit != "":
			return "", true
		}
		why = append(why, r.Name+": "+r.Why)
	}
	return strings.Join(why, "; "), false
}

// over is the newest deployment that has ended since.
func (w wait) over(s control.Status) (o reconcile.Outcome, fresh bool) {
	if len(s.History) == 0 {
		return o, false
	}
	o = s.History[len(s.History)-1]
	return o, !slices.ContainsFunc(w.before.History, func(was reconcile.Outcome) bool { return was.ID == o.ID })
}

func of(o reconcile.Outcome, asWanted bool) ending {
	e := ending{text: strings.ReplaceAll(string(o.Result), "_", " ") + " " + titled(o.Revision, o.Subject) + lasted(o)}
	if o.Cause.Why != "" {
		e.text += fmt.Sprintf("\n%s: %s", o.Cause.Reason, o.Cause.Why)
	}
	if !asWanted {
		e.code = exitOtherwise
		e.text += fmt.Sprintf("\nhint: infra-agent logs %s", o.ID)
	}
	return e
}

func held(s control.Status) (ending, bool) {
	if s.State != "held" || len(s.Holds) == 0 {
		return ending{}, false
	}
	h := s.Holds[0]
	e := ending{fmt.Sprintf("held by %s: %s", h.Gate, h.Why), exitHeld}
	if h.Hint != "" {
		e.text += "\nhint: " + h.Hint
	}
	return e, true
}
