//go:build race

package agent_test

// stride is how many points of a table lie between two that are played. Under the race
// detector each takes eight times as long; without it, make test plays all of them.
const stride = 16
