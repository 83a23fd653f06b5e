// Package handover is what the running system's agent asks the new system's own agent
// before a trial, and what that one answers. The new system's settings, and whether the
// record can be read, are for its own agent to say: the running one may be older, and
// knows neither a newer key nor a newer kind of check.
//
// The question's command line and the answer are frozen as guard.json is: fields are only
// ever added, and what is not known is carried along.
package handover

import (
	"encoding/json"
	"fmt"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Schema is the version of the answer.
const Schema = 1

// An Answer is what the new system's agent prints, as JSON.
type Answer struct {
	Schema  int               `json:"schema"`
	Refusal string            `json:"refusal,omitempty"` // why the new agent cannot take over; empty: it can
	Checks  []reconcile.Check `json:"checks"`            // of the new system's own settings, sorted by name
	// Identity is how the new settings find the node in the registry, as a text that is
	// equal for settings that do so in the same way.
	Identity string `json:"identity,omitempty"`
	// Files are those that the new settings name: keys, tokens, lists of signers.
	Files []string `json:"files,omitempty"`
	// Observes says that with the new settings the agent would only look on.
	Observes bool `json:"observes,omitempty"`
}

// Args returns the command line that asks: agent is the new system's program, record the
// record on disk, and settings the new system's settings file.
func Args(agent, record, settings string) []string {
	return []string{agent, "check", "--handover", "--record", record, settings}
}

// PollArgs returns the command line by which a trial's agent has another system's agent ask
// the remotes of that system's settings once. It exits with 0 when one has answered.
func PollArgs(agent, settings string) []string {
	return []string{agent, "look", "remotes", "--config", settings}
}

// Parse reads an answer. The error says that it is none: the program is no agent that
// works, or none that knows the question.
func Parse(data []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return Answer{}, fmt.Errorf("answer of the new system's infra-agent: %w", err)
	}
	if a.Schema < Schema {
		return Answer{}, fmt.Errorf("answer of the new system's infra-agent: schema is %d, want %d or more", a.Schema, Schema)
	}
	return a, nil
}
