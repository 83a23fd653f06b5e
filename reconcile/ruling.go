package reconcile

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
)

// A ruling is what follows.
type ruling string

const (
	rulingBack ruling = "back" // the old system is brought back
	rulingHold ruling = "hold" // the trial stays as it is and waits for a person
	rulingKeep ruling = "keep" // the trial is judged on, and promoted in the end, with its flaw told
)

// rulings. Where nobody would follow the branch, no fix could ever arrive: there the old
// system comes back in every mode.
var rulings = map[RollbackMode]map[trouble]ruling{
	RollbackAuto:   {troubleActivation: rulingBack, troubleRed: rulingBack, troubleLate: rulingBack, troubleNoAgent: rulingBack, troubleDeaf: rulingBack},
	RollbackHold:   {troubleActivation: rulingHold, troubleRed: rulingHold, troubleLate: rulingHold, troubleNoAgent: rulingBack, troubleDeaf: rulingBack},
	RollbackNever:  {troubleActivation: rulingKeep, troubleRed: rulingKeep, troubleLate: rulingKeep, troubleNoAgent: rulingBack, troubleDeaf: rulingBack},
	RollbackAlways: {troubleActivation: rulingBack, troubleRed: rulingBack, troubleLate: rulingBack, troubleNoAgent: rulingBack, troubleDeaf: rulingBack},
}

// rule returns what follows of t in mode m.
func rule(m RollbackMode, t trouble) ruling { return rulings[m][t] }
