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
		"a check":                                 {map[string]Red{"check web": check}, Record{}, false},
		"a timer's job":                           {map[string]Red{"failed fwupd": outage}, Record{}, true},
		"a timer's job, and a check":              {map[string]Red{"failed fwupd": outage, "check web": check}, Record{}, false},
		"a check, and the node is still drained":  {map[string]Red{"check web": check}, drained, true},
		"a unit, and the node is still drained":   {map[string]Red{"failed web": unit}, drained, false},
		"nothing, and the node is still drained":  {nil, drained, false},
		"nothing, and the record was not written": {nil, Record{Work: Work{Unwritten: "disk full"}}, true},
	} {
		if got := (Watch{Red: c.red}).unconfirmed("not confirmed", c.rec).Outside; got != c.want {
			t.Errorf("%s: outside of the commit %v, want %v", name, got, c.want)
		}
	}
}
