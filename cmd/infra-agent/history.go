package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/control"
	"github.com/infra-agent/infra-agent/reconcile"
)

func historyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "history", Short: "Show the deployments of this node, newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := readStatus(c)
			if err != nil {
				return err
			}
			slices.Reverse(s.History)
			if asJSON, _ := c.Flags().GetBool("json"); asJSON {
				if s.History == nil {
					s.History = []reconcile.Outcome{}
				}
				return writeJSON(c.OutOrStdout(), s.History)
			}
			return printHistory(c.OutOrStdout(), s, time.Now())
		},
	}
	c.Flags().Bool("json", false, "print JSON")
	return c
}

// printHistory writes what was deployed, from which system to which, and why it ended as it did; and then what another tool
// deployed while the agent looked on.
func printHistory(w io.Writer, s control.Status, now time.Time) error {
	if len(s.History)+len(s.Observed) == 0 {
		_, err := fmt.Fprintln(w, "Nothing was deployed yet.")
		return err
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, o := range s.History {
		revision := titled(o.Revision, o.Subject)
		if o.Revision == "" {
			revision = "of no known commit"
		}
		fmt.Fprintf(t, "%s\t%s\t%s%s%s\n", o.ID, strings.ReplaceAll(string(o.Result), "_", " "), revision, lasted(o), ago(", ", o.Ended, now))
		fmt.Fprintf(t, "\t\t%s -> %s\n", base(o.From), base(o.To))
		if took := phases(o.Took); took != "" {
			fmt.Fprintf(t, "\t\t%s\n", took)
		}
		if o.Cause.Why != "" {
			for line := range strings.SplitSeq(fmt.Sprintf("%s: %s", o.Cause.Reason, o.Cause.Why), "\n") {
				fmt.Fprintf(t, "\t\t%s\n", line)
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteString(listObserved(s.Observed, now))
	_, err := w.Write(b.Bytes())
	return err
}

func lasted(o reconcile.Outcome) string {
	if o.Started.IsZero() || o.Ended.Before(o.Started) { // the clock was set back meanwhile
		return ""
	}
	return fmt.Sprintf(", took %v", o.Ended.Sub(o.Started).Round(time.Second))
}

// phases says how long each one took, in their order.
func phases(took reconcile.Times) string {
	var all []string
	for _, phase := range reconcile.TimedPhases {
		if d := took[phase]; d > 0 {
			all = append(all, strings.Replace(phase, "goback", "go back", 1)+" "+brief(d))
		}
	}
	return strings.Join(all, ", ")
}

// brief is a duration as exact as anybody reads it.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func base(t reconcile.Toplevel) string {
	if t == "" {
		return "unknown"
	}
	return filepath.Base(string(t))
}
