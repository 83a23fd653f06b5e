//go:build !race

package agent_test

// stride is how many points of a table lie between two that are played.
const stride = 1
