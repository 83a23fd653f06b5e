// Package guard brings the old system back when nobody says in time that the
// new one works. It judges the deadline only, and needs neither network nor
// D-Bus nor the agent: it reads one file, and acts by running programs.
package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/infra-agent/infra-agent/agent/durable"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Names in the state directory.
const (
	fileName = "guard.json"
	lockName = "guard.lock"
)

// The modes of a guard.
const (
	ModeTrial    = "trial"    // a system is on trial
	ModeRollback = "rollback" // the agent is going back; the guard bounds it
	ModeOff      = "off"      // nothing to guard
)

// File is guard.json. Its format is frozen for ever: a guard is started from
// the old system's binary and must understand what any later agent writes.
type File struct {
	ID        string             `json:"id"`         // deployment
	Boot      reconcile.BootID   `json:"boot"`       // the file says nothing about another boot
	Mode      string             `json:"mode"`       // trial, rollback or off
	UntilNS   int64              `json:"until_ns"`   // CLOCK_BOOTTIME in nanoseconds
	Old       reconcile.Toplevel `json:"old"`        // the system to bring back
	TrialUnit string             `json:"trial_unit"` // what to stop first, a name or a pattern; may have ended
	Reboot    bool               `json:"reboot"`     // the last resort is a reboot
	Claim     Claim              `json:"claim"`
	Rebooted  bool               `json:"rebooted"` // a reboot was asked for; never twice

	// SwitchNS is how long the switch to the old system may take, in nanoseconds; 0: 10
	// minutes, as for a guard that does not know it.
	SwitchNS int64 `json:"switch_ns,omitempty"`
}

// A Claim says that the guard has decided to go back.
type Claim struct {
	At   time.Time `json:"at,omitzero"`
	Done bool      `json:"done,omitempty"`
}

// ErrClaimed says that the guard is going back, so it is too late to confirm.
var ErrClaimed = errors.New("the guard has begun to go back to the old system")

// A Place is where guard.json is kept. The agent and the guard agree through it.
type Place interface {
	// Read returns the file, or a zero one when there is none.
	Read() (File, error)
	// Update changes the file: under its lock, from what it holds now, and durably.
	// When change returns an error nothing is written.
	Update(change func(*File) error) error
}

// A Dir is the state directory as a [Place].
type Dir string

// Read returns the file in d, or a zero one when there is none.
func (d Dir) Read() (File, error) {
	var f File
	data, err := os.ReadFile(filepath.Join(string(d), fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("read guard file: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, fmt.Errorf("read guard file: %w", err)
	}
	return f, nil
}

// Update changes the file in d: under its lock, from what it holds now, and
// durably. When change returns an error nothing is written.
func (d Dir) Update(change func(*File) error) error {
	lock, err := os.OpenFile(filepath.Join(string(d), lockName), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("lock guard file: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock guard file: %w", err)
	}
	f, err := d.Read()
	if err != nil {
		f = File{} // a damaged file guards nothing; the change decides what comes
	}
	before := f
	if err := change(&f); err != nil {
		return err
	}
	if f == before {
		return nil
	}
	data, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("write guard file: %w", err)
	}
	return durable.WriteFile(filepath.Join(string(d), fileName), append(data, '\n'), 0o600)
}
