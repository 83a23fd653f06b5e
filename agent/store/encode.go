package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/infra-agent/infra-agent/reconcile"
)

// file is state.json. A reader accepts it when MinReader is at most its own
// Schema. Allowed changes between schemas: new fields in the record (older
// agents carry them along), and nothing else without raising MinReader; MinReader
// rises one release after the field that needs it.
type file struct {
	Schema    int             `json:"schema"`
	MinReader int             `json:"min_reader"`
	Checksum  string          `json:"checksum"` // SHA-256 of the record, without white space
	Record    json.RawMessage `json:"record"`
}

// version is what a file says of its format.
type version struct{ schema, minReader int }

// during returns the version to write in a phase over a file of schema found (0:
// there is none). Until a deployment ends it is the one that was found: a rollback
// of the agent itself must be able to read the record.
func (own version) during(p reconcile.Phase, found int) version {
	if _, idle := p.(reconcile.Idle); idle || found == 0 || found >= own.schema {
		return own
	}
	return version{found, min(own.minReader, found)}
}

// decode returns the record of a file, with the JSON that it was made of.
func decode(data []byte, reads int) (rec reconcile.Record, schema int, raw json.RawMessage, err error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return rec, 0, nil, fmt.Errorf("damaged: %w", err)
	}
	if f.MinReader > reads {
		return rec, 0, nil, fmt.Errorf("written by a newer infra-agent: needs schema %d, this agent reads %d", f.MinReader, reads)
	}
	if sum := checksum(f.Record); sum != f.Checksum {
		return rec, 0, nil, fmt.Errorf("damaged: checksum is %s, want %s", sum, f.Checksum)
	}
	if err := json.Unmarshal(f.Record, &rec); err != nil {
		return rec, 0, nil, fmt.Errorf("damaged: %w", err)
	}
	var outer struct {
		Phase phaseJSON `json:"phase"`
	}
	if err := json.Unmarshal(f.Record, &outer); err != nil {
		return rec, 0, nil, fmt.Errorf("damaged: phase: %w", err)
	}
	if rec, err = withPhase(rec, outer.Phase); err != nil {
		return rec, 0, nil, fmt.Errorf("damaged: %w", err)
	}
	return rec, f.Schema, f.Record, nil
}

// encodeRecord returns the record's JSON; without its tally it is the part that
// must be written at once when it changes. What a newer agent added to before, at
// whatever depth, is carried along.
func encodeRecord(rec reconcile.Record, tally bool, before json.RawMessage) (json.RawMessage, error) {
	phase, err := encodePhase(rec.Phase)
	if err != nil {
		return nil, err
	}
	if !tally {
		rec.Tally = reconcile.Tally{}
	}
	plain, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(plain, &all); err != nil {
		return nil, err
	}
	if all["phase"], err = json.Marshal(phase); err != nil {
		return nil, err
	}
	now, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	return carry(reflect.TypeFor[recordJSON](), before, now), nil
}

func encodeFile(record []byte, v version) ([]byte, error) {
	data, err := json.MarshalIndent(file{v.schema, v.minReader, checksum(record), record}, "", " ")
	return append(data, '\n'), err
}

func checksum(record []byte) string {
	var compact bytes.Buffer
	if err := json.Compact(&compact, record); err != nil {
		return "none: " + err.Error()
	}
	sum := sha256.Sum256(compact.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:])
}
