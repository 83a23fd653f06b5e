package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/infra-agent/infra-agent/reconcile"
)

// phaseJSON is a phase in the record: its name beside its data.
type phaseJSON struct {
	Name string          `json:"name"`
	Data json.RawMessage `json:"data,omitempty"`
}

// phaseTypes are the phases that this agent knows, by name.
var phaseTypes = func() map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for _, p := range reconcile.Phases {
		types[reconcile.Name(p)] = reflect.TypeOf(p)
	}
	return types
}()

func encodePhase(p reconcile.Phase) (phaseJSON, error) {
	data, err := json.Marshal(p)
	return phaseJSON{Name: reconcile.Name(p), Data: data}, err
}

// withPhase puts the phase into the record. One that only a newer agent knows is left in
// the direction of the old system.
func withPhase(rec reconcile.Record, j phaseJSON) (reconcile.Record, error) {
	if j.Name == "" {
		return rec, errors.New("the phase has no name")
	}
	t, known := phaseTypes[j.Name]
	if !known {
		var trial reconcile.Trial
		if len(j.Data) > 0 {
			if err := json.Unmarshal(j.Data, &trial); err != nil {
				return rec, fmt.Errorf("phase %q, which this agent does not know: %w", j.Name, err)
			}
		}
		return reconcile.Retreat(rec, j.Name, trial), nil
	}
	p := reflect.New(t)
	if t == reflect.TypeFor[reconcile.Idle]() { // it has no data, whatever a newer agent wrote
		j.Data = []byte("{}")
	}
	if err := json.Unmarshal(j.Data, p.Interface()); err != nil {
		return rec, fmt.Errorf("phase %q: %w", j.Name, err)
	}
	rec.Phase = p.Elem().Interface().(reconcile.Phase)
	return rec, nil
}
