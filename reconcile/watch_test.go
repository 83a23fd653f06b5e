package reconcile

import "testing"

// What is red at the deadline counts against the commit, unless all of it comes from elsewhere.
func TestUnconfirmed(t *testing.T) {
	check, outage := Red{Cause: Cause{Reason: ReasonCheck}}, Red{Cause: Cause{Reason: ReasonUnit, Outside: true}}
	unit := Red{Cause: Cause{Reason: ReasonUnit}}
	drained := Record{Owed: []Debt{{Kind: DebtUndrain}}}
	for name, c := range map[string]struct {
		red  map[string]Red
		rec  Record
		want bool
	}{
		"a check":                                {map[string]Red{"check web": check}, Record{}, false},
		"a timer's job":                          {map[string]Red{"failed fwupd": outage}, Record{}, true},
		"a timer's job, and a check":             {map[string]Red{"failed fwupd": outage, "check web": check}, Record{}, false},
		"a check, and the node is still drained": {map[string]Red{"check web": check}, drained, true},
		"a unit, and the node is still drained":  {map[string]Red{"failed web": unit}, drained, false},
		"nothing, and the node is still drained": {nil, drained, false},
	} {
		if got := (Watch{Red: c.red}).unconfirmed("not confirmed", c.rec).Outside; got != c.want {
			t.Errorf("%s: outside of the commit %v, want %v", name, got, c.want)
		}
	}
}

// What goes wrong while the record cannot be written is the disk's fault, however the node goes back.
func TestUnwritten(t *testing.T) {
	trial := Trial{Deployment: Deployment{New: System{Toplevel: "B"}}}
	cause := Cause{Reason: ReasonDeadline, Why: "the guard went back to the old system"}
	for _, back := range []Phase{RollingBack{Trial: trial, Cause: cause}, VerifyingRollback{Trial: trial, Cause: cause}} {
		r := Fold(Record{Phase: Activating{Trial: trial}, Work: Work{Unwritten: "disk full"}}, Entered{Phase: back})
		if _, blocked := r.Blocked["B"]; blocked {
			t.Errorf("%s: B is blocked", Name(back))
		}
		const want = "the guard went back to the old system; the record could not be written: disk full"
		if got := r.Failures[trialKey("B")].Why; got != want {
			t.Errorf("%s: B is tried again after %q, want %q", Name(back), got, want)
		}
		if p, rolling := r.Phase.(RollingBack); rolling {
			r = Fold(r, Entered{Phase: VerifyingRollback{Trial: trial, Cause: p.Cause}})
		}
		r = Fold(r, RolledBack{})
		if got := r.History[0].Cause; got.Why != want || !got.Outside {
			t.Errorf("%s: history has %+v", Name(back), got)
		}
	}
}

// What a person ended stays ended, whatever the disk does.
func TestCancelledWhileUnwritten(t *testing.T) {
	trial := Trial{Deployment: Deployment{New: System{Toplevel: "B"}}}
	r := Record{Phase: Confirming{Trial: trial}, Work: Work{Unwritten: "disk full"}}
	r = Fold(r, Entered{Phase: RollingBack{Trial: trial, Cause: Cause{Reason: ReasonOperator, Why: "a person cancelled it"}}})
	if _, blocked := r.Blocked["B"]; !blocked {
		t.Errorf("it is tried again: %v", r.Failures)
	}
}
