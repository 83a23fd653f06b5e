package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// printObserved tells what would have become of the systems that another tool activated.
func printObserved(row func(string, string, ...any), all []reconcile.Observed, now time.Time) {
	bad := slices.DeleteFunc(slices.Clone(all), func(o reconcile.Observed) bool { return o.Cause.Reason == "" })
	text := fmt.Sprintf("%d of the last %s would have been rolled back", len(bad), counted(len(all), "commit"))
	if n := len(bad); n > 0 {
		text += fmt.Sprintf("; the last, %s%s\n%s", shown(bad[n-1].Revision, bad[n-1].System), ago(", ", bad[n-1].At, now), fmt.Sprintf("%s: %s", bad[n-1].Cause.Reason, bad[n-1].Cause.Why))
	}
	row("observed", "%s", text)
}

// listObserved tells of each, newest first.
func listObserved(all []reconcile.Observed, now time.Time) string {
	var b strings.Builder
	for _, o := range slices.Backward(all) {
		revision := shown(o.Revision, o.System)
		if o.Cause.Reason == "" {
			fmt.Fprintf(&b, "%s  would have been kept%s\n", revision, ago(", ", o.At, now))
		} else {
			fmt.Fprintf(&b, "%s  would have been rolled back%s\n          %s: %s\n", revision, ago(", ", o.At, now), o.Cause.Reason, o.Cause.Why)
		}
	}
	return b.String()
}
