package reconcile

import "time"

// A Tip is what a remote says the tracked branch points to.
type Tip struct {
	Commit Commit
	Remote string
	At     time.Time // when it was first seen
}

// An Answer is what one remote said to the last poll.
type Answer struct {
	Remote  string
	Order   int    // of preference, from 0
	Commit  Commit // empty: see Why
	Testing Commit // of the testing branch; empty: there is none, or none is followed
	Missing bool   // it answered, and has no such branch
	Denied  bool   // it answered, and lets this node not in
	Why     string
	Asked   time.Time
	Anew    time.Time // it was asked last by a process and over a connection of its own; zero: never
	At      time.Time // it answered
	Failed  int       // fetches of Commit from it, in a row
	Pause   Pause     // after that many: what it shows is no news
}
