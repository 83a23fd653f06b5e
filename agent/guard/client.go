package guard

import (
	"fmt"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A Client is the agent's side of the guard file.
type Client struct {
	Place      Place
	Boot       reconcile.BootID
	TrialUnits func(id string) string // pattern of the units that the guard stops first
}

// State returns what the file says about this boot; whether the guard is alive
// is for systemd to say.
func (c *Client) State() (reconcile.GuardState, error) {
	f, err := c.Place.Read()
	if err != nil || f.Boot != c.Boot {
		return reconcile.GuardState{}, err
	}
	s := reconcile.GuardState{ID: f.ID, Claimed: !f.Claim.At.IsZero() && !f.Claim.Done, Rebooted: f.Rebooted}
	if f.Mode != ModeOff {
		s.Until = time.Duration(f.UntilNS)
	}
	return s, nil
}

// Arm writes the deployment's file with a deadline on the boot-time clock. What
// the file of the same deployment says of a reboot stays; the error is
// [ErrClaimed] when its guard has begun to go back.
func (c *Client) Arm(d reconcile.Deployment, until time.Duration, by reconcile.Recovery) error {
	return c.set(d, ModeTrial, until, by)
}

// Bound arms the guard to bound the agent's own rollback. A deadline that bounds it
// already stays: an agent that dies again and again must not put it off.
func (c *Client) Bound(d reconcile.Deployment, until time.Duration, by reconcile.Recovery) error {
	return c.set(d, ModeRollback, until, by)
}

func (c *Client) set(d reconcile.Deployment, mode string, until time.Duration, by reconcile.Recovery) error {
	return c.Place.Update(func(f *File) error {
		if f.ID == d.ID && f.Boot == c.Boot && !f.Claim.At.IsZero() && !f.Claim.Done {
			return ErrClaimed
		}
		if f.ID == d.ID && f.Boot == c.Boot && f.Mode == ModeRollback && mode == ModeRollback {
			until = min(until, time.Duration(f.UntilNS))
		}
		rebooted := f.ID == d.ID && f.Rebooted
		*f = File{
			ID: d.ID, Boot: c.Boot, Mode: mode, UntilNS: int64(until), Old: d.Old.Toplevel,
			TrialUnit: c.TrialUnits(d.ID), Reboot: by.LastResort == reconcile.LastResortReboot, Rebooted: rebooted,
			SwitchNS: int64(by.Switch),
		}
		return nil
	})
}

// NoteReboot writes down that a reboot is about to be asked for.
func (c *Client) NoteReboot(id string) error {
	return c.Place.Update(func(f *File) error {
		f.ID, f.Boot, f.Rebooted, f.Mode = id, c.Boot, true, ModeOff
		return nil
	})
}

// Disarm turns the guard of deployment id off. The error is [ErrClaimed] when it
// has begun to go back.
func (c *Client) Disarm(id string) error {
	return c.Place.Update(func(f *File) error {
		if f.ID != id {
			return nil
		}
		if !f.Claim.At.IsZero() {
			return ErrClaimed
		}
		f.Mode = ModeOff
		return nil
	})
}

// Begin runs start, which must not take long, while the guard of deployment id is
// armed; the guard cannot claim the deployment meanwhile. The error is [ErrClaimed]
// when its deadline has passed: then it goes back, claim or no claim.
func (c *Client) Begin(id string, uptime func() time.Duration, start func() error) error {
	return c.Place.Update(func(f *File) error {
		switch {
		case f.ID != id || f.Boot != c.Boot || f.Mode == ModeOff:
			return fmt.Errorf("the guard of deployment %s is not armed", id)
		case !f.Claim.At.IsZero() || uptime() >= time.Duration(f.UntilNS):
			return ErrClaimed
		}
		return start()
	})
}

// Move sets the deadline of deployment id, on the boot-time clock. The error is
// [ErrClaimed] when the guard has begun to go back.
func (c *Client) Move(id string, until time.Duration) error {
	return c.Place.Update(func(f *File) error {
		if f.ID != id || f.Mode == ModeOff {
			return fmt.Errorf("the guard of deployment %s is not armed", id)
		}
		if !f.Claim.At.IsZero() {
			return ErrClaimed
		}
		f.UntilNS = int64(until)
		return nil
	})
}
