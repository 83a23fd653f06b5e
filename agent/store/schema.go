package store

// Schema is the version of the record that this agent writes; MinReader the
// oldest schema an agent must have to read it.
const (
	Schema    = 1
	MinReader = 1
)
