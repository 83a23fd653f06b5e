package agenttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/infra-agent/infra-agent/reconcile"
)

// errFull is what the disk says when it is full.
var errFull = errors.New("no space left on device")

// onDisk is a record as it survives: as in package store, without its care for
// versions and damage.
type onDisk struct {
	Record reconcile.Record
	Name   string          // of the phase
	Phase  json.RawMessage // its data
}

func encode(rec reconcile.Record) []byte {
	phase, err := json.Marshal(rec.Phase)
	if err != nil {
		panic(err) // a record is plain data
	}
	data, err := json.Marshal(onDisk{rec, reconcile.Name(rec.Phase), phase})
	if err != nil {
		panic(err)
	}
	return data
}

func decode(data []byte) reconcile.Record {
	if data == nil {
		return reconcile.New()
	}
	var d onDisk
	if err := json.Unmarshal(data, &d); err != nil {
		panic(err)
	}
	for _, p := range reconcile.Phases {
		if reconcile.Name(p) == d.Name {
			v := reflect.New(reflect.TypeOf(p))
			if err := json.Unmarshal(d.Phase, v.Interface()); err != nil {
				panic(err)
			}
			d.Record.Phase = v.Elem().Interface().(reconcile.Phase)
			return d.Record
		}
	}
	panic(fmt.Sprintf("unknown phase %q", d.Name))
}

// Save writes the record when anything but its tally changed.
func (p *Process) Save(rec reconcile.Record) (bool, error) {
	if rec.Unreadable != "" {
		return false, errors.New("the record on disk is left alone")
	}
	plain := rec
	plain.Tally = reconcile.Tally{}
	durable := encode(plain)
	same := false
	p.n.Do(func() { same = bytes.Equal(durable, p.n.durable) })
	if same {
		return false, nil
	}
	err := p.effect(context.Background(), "write "+reconcile.Name(rec.Phase), func() error {
		if p.n.DiskFull {
			return errFull
		}
		p.n.disk, p.n.durable = encode(rec), durable
		p.n.writes = append(p.n.writes, p.n.disk)
		return nil
	})
	return err == nil, err
}
