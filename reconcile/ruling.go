package reconcile

import "cmp"

// What follows when a trial goes wrong depends on the node's rollback mode and on
// what went wrong, and on nothing else: each phase of a trial asks this table.

// A trouble is what can go wrong with a trial while the new system runs.
type trouble string

const (
	troubleActivation trouble = "activation" // its activation failed, and it runs all the same
	troubleRed        trouble = "red"        // something is red, often enough and past its grace
	troubleLate       trouble = "late"       // it was not confirmed until its deadline
	troubleNoAgent    trouble = "no agent"   // no agent of its own took over
	troubleDeaf       trouble = "deaf"       // its agent would not follow the branch
	troublePromotion  trouble = "promotion"  // it cannot be made the default
)

var troubles = []trouble{troubleActivation, troubleRed, troubleLate, troubleNoAgent, troubleDeaf, troublePromotion}

// A ruling is what follows.
type ruling string

const (
	rulingBack ruling = "back" // the old system is brought back
	rulingHold ruling = "hold" // the trial stays as it is and waits for a person
	rulingKeep ruling = "keep" // the trial is judged on, and promoted in the end, with its flaw told
)

// rulings. Where nobody would follow the branch, no fix could ever arrive: there the old
// system comes back in every mode. What is healthy and cannot be made the default is no
// reason to leave it, but where that is the mode.
var rulings = map[RollbackMode]map[trouble]ruling{
	RollbackAuto:   each(rulingBack, nil),
	RollbackHold:   each(rulingHold, map[trouble]ruling{troubleNoAgent: rulingBack, troubleDeaf: rulingBack, troublePromotion: rulingKeep}),
	RollbackNever:  each(rulingKeep, map[trouble]ruling{troubleNoAgent: rulingBack, troubleDeaf: rulingBack}),
	RollbackAlways: each(rulingBack, nil),
}

// each has the same ruling follow of every trouble, with exceptions.
func each(of ruling, but map[trouble]ruling) map[trouble]ruling {
	all := map[trouble]ruling{}
	for _, t := range troubles {
		all[t] = cmp.Or(but[t], of)
	}
	return all
}

// rule returns what follows of t in mode m.
func rule(m RollbackMode, t trouble) ruling { return rulings[m][t] }
