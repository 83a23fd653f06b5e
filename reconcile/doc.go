// Package reconcile decides what an infra-agent does next.
//
// It is pure: no I/O, no clock, no goroutines, no logging. Everything it knows
// arrives in a [Record] (what the agent has written down) and an [Observation]
// (what the node looks like now); what it wants leaves as an [Action], and what
// happened comes back as an [Event].
//
// The package also holds the words that the rest of the program shares: commits,
// toplevels, checks, targets. It imports the standard library only.
package reconcile
