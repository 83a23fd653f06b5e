package store

import (
	"encoding/json"
	"fmt"

	"github.com/infra-agent/infra-agent/reconcile"
)

// phaseJSON is a phase in the record: its name beside its data.
type phaseJSON struct {
	Name string          `json:"name"`
	Data json.RawMessage `json:"data,omitempty"`
}

func encodePhase(p reconcile.Phase) (phaseJSON, error) {
	data, err := json.Marshal(p)
	return phaseJSON{Name: reconcile.Name(p), Data: data}, err
}

func decodePhase(j phaseJSON) (reconcile.Phase, error) {
	switch j.Name {
	case "idle":
		return reconcile.Idle{}, nil
	case "arming":
		return decodeAs[reconcile.Arming](j.Data)
	case "activating":
		return decodeAs[reconcile.Activating](j.Data)
	case "confirming":
		return decodeAs[reconcile.Confirming](j.Data)
	case "promoting":
		return decodeAs[reconcile.Promoting](j.Data)
	case "rolling_back":
		return decodeAs[reconcile.RollingBack](j.Data)
	case "verifying_rollback":
		return decodeAs[reconcile.VerifyingRollback](j.Data)
	case "rebooting":
		return decodeAs[reconcile.RebootingBack](j.Data)
	case "stuck":
		return decodeAs[reconcile.Stuck](j.Data)
	}
	return nil, fmt.Errorf("unknown phase %q", j.Name)
}

func decodeAs[P reconcile.Phase](data json.RawMessage) (reconcile.Phase, error) {
	var p P
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, err
	}
	return p, nil
}
