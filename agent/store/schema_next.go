//go:build schemanext

package store

// The schema of a release to come: the tests of upgrade and rollback build a
// real agent with it.
const (
	Schema    = 2
	MinReader = 2
)
