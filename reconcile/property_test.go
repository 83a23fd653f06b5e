package reconcile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Next has an answer to every record and every observation, always the same one,
// and leaves both as they are.
func TestNextIsTotalAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, o := anyRecord.Draw(t, "record"), anyObservation.Draw(t, "observation")
		before := dump(r) + fmt.Sprintf("%+v", o)
		act := Next(r, o)
		if again := Next(r, o); !reflect.DeepEqual(act, again) {
			t.Fatalf("Next = %+v, then %+v", act, again)
		}
		if run, is := act.(Run); is {
			if KeyOf(run.Job).Kind == "" || LimitOf(run.Job, o.Policy) < 0 {
				t.Fatalf("Next runs %+v without a key or a limit", run.Job)
			}
			if o.Job != nil {
				t.Fatalf("Next runs %s beside %s", KeyOf(run.Job), KeyOf(o.Job))
			}
		}
		if _, is := act.(Cancel); is && o.Job == nil {
			t.Fatal("Next cancels where no job runs")
		}
		Holds(r, o)
		if after := dump(r) + fmt.Sprintf("%+v", o); after != before {
			t.Fatalf("Next changed its input:\n%s\n%s", before, after)
		}
	})
}

// Fold takes every event in every phase, and leaves what it was given alone: the
// record before stays what it was, and so does every record that came of it.
func TestFoldDoesNotChangeItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord.Draw(t, "record")
		first, second := anyEvent.Draw(t, "first"), anyEvent.Draw(t, "second")
		before := dump(r)
		a := Fold(r, first)
		told := dump(a)
		b := Fold(r, second)
		Fold(a, second)
		Fold(b, first)
		if after := dump(r); after != before {
			t.Fatalf("Fold(%T) changed its input:\n%s\n%s", first, before, after)
		}
		if after := dump(a); after != told {
			t.Fatalf("Fold(%T) changed what Fold(%T) had returned:\n%s\n%s", second, first, told, after)
		}
	})
}

// A verb is refused, or gives events that can be folded; it never panics.
func TestCommandIsTotal(t *testing.T) {
	verbs := []Verb{
		Sync{}, Suspend{Reason: "x"}, Resume{}, Approve{}, CancelTrial{}, Extend{time.Minute}, StepBack{}, Retry{}, Adopt{}, AllowRewind{"c0"}, LetRetire{},
	}
	rapid.Check(t, func(t *rapid.T) {
		r, o := anyRecord.Draw(t, "record"), anyObservation.Draw(t, "observation")
		events, err := Command(r, o, rapid.SampledFrom(verbs).Draw(t, "verb"))
		if (err == nil) != (len(events) > 0) {
			t.Fatalf("Command = %v, %v: want events or an error", events, err)
		}
		for _, e := range events {
			r = Fold(r, e)
		}
		Next(r, o)
	})
}

func TestMergeChecksLaws(t *testing.T) {
	set := rapid.Custom(func(t *rapid.T) []Check {
		return checks(strings.Join(rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d*", "e?"}), rapid.ID[string]).Draw(t, "names"), ","))
	})
	names := func(all []Check) []string {
		var n []string
		for _, c := range all {
			n = append(n, c.Name)
		}
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := set.Draw(t, "a"), set.Draw(t, "b"), set.Draw(t, "c")
		a0, b0 := fmt.Sprint(a), fmt.Sprint(b)
		ab := MergeChecks(a, b)
		if fmt.Sprint(a) != a0 || fmt.Sprint(b) != b0 {
			t.Fatal("MergeChecks changed its input")
		}
		if got := names(ab); !slices.IsSorted(got) || len(slices.Compact(got)) != len(ab) {
			t.Fatalf("MergeChecks(%v, %v) has the names %v: want each once, sorted", a, b, got)
		}
		for _, want := range b {
			if !slices.ContainsFunc(ab, func(k Check) bool { return reflect.DeepEqual(k, want) }) {
				t.Fatalf("MergeChecks(%v, %v) = %v: lost %v of the second", a, b, ab, want)
			}
		}
		for _, k := range a {
			if !slices.Contains(names(ab), k.Name) {
				t.Fatalf("MergeChecks(%v, %v) = %v: lost %s of the first", a, b, ab, k.Name)
			}
		}
		if got, want := MergeChecks(ab, c), MergeChecks(a, MergeChecks(b, c)); !reflect.DeepEqual(got, want) {
			t.Fatalf("MergeChecks is not associative: %v and %v", got, want)
		}
		if got := MergeChecks(ab, ab); !reflect.DeepEqual(got, ab) {
			t.Fatalf("MergeChecks(x, x) = %v, want %v", got, ab)
		}
	})
}

// Random stories: whatever happens, a blocked system is not tried, a deployment
// goes from one system to another one, a suspended agent begins nothing, and
// the agent never decides for ever.
func TestRandomStories(t *testing.T) {
	starts := []string{
		"settled", "later", "settled", "idle", "arming", "activating", "confirming", "confirming mode=hold", "confirming mode=never", "confirming mode=always", "promoting",
		"rolling_back", "rolling_back promoted", "verifying_rollback", "verifying_rollback cause=connectivity", "rebooting", "stuck",
	}
	scene := []string{
		"running A", "running B", "running C", "running X", "running ?", "profile A", "profile B", "profile X", "default A", "default B", "default ?",
		"guard claimed", "guard off", "guard dead", "guard gone", "agent agent", "agent other", "trial-agent none", "trial-agent agent",
		"policy last_resort=stuck", "policy last_resort=reboot", "policy rollback=hold", "policy rollback=never", "policy rollback=auto", "clock -24h", "clock 24h",
	}
	events := []string{
		"look", "after 1s", "after 1m", "after 1h", "restart", "reboot", "reload", "poll origin c0", "poll origin c1", "poll origin c2", "poll origin c0 testing=c1", "poll origin c0 testing=c2", "poll origin c1 testing=c2",
		"poll mirror c0", "poll mirror c1", "poll origin silent", "poll origin missing",
		"verb sync", "verb suspend x", "verb resume", "verb confirm", "verb cancel", "verb extend 5m", "verb rollback", "verb retry",
		"verb adopt", "verb allow-rewind c0",
	}
	ends := []string{"ok", "ok", "ok", "fail why", "fail gate=build why"} // and those of Activate and Sample
	rapid.Check(t, func(t *rapid.T) {
		w := newScript(t, coverage{})
		w.do("start " + rapid.SampledFrom(starts).Draw(t, "start"))
		for range rapid.IntRange(1, 60).Draw(t, "length") {
			kinds := [][]string{scene, events, events}
			switch w.obs.Job.(type) {
			case nil:
			case Activate:
				kinds = [][]string{{"exit 0", "exit 0", "exit 1", "exit 4 failed=a.service", "exit -1", "exit 11 hold=lock", "fail bus"}, events}
			case AskOld:
				kinds = [][]string{{"old answered", "old silent", "fail bus"}, events}
			case Sample:
				kinds = [][]string{{"sample", "sample", "sample failed=a.service", "sample unknown", "fail bus"}, events}
			default:
				kinds = append([][]string{ends, ends, ends}, scene, events)
			}
			before := w.rec
			command := rapid.SampledFrom(rapid.SampledFrom(kinds).Draw(t, "kind")).Draw(t, "command")
			w.do(command)
			check := func(ok bool, what string) {
				if !ok {
					t.Fatalf("after %q: %s", command, what)
				}
			}
			if arm, is := w.obs.Job.(Arm); is {
				_, blocked := w.rec.Blocked[arm.Deployment.New.Toplevel]
				check(!blocked, "a blocked system is armed")
			}
			d, inFlight := DeploymentOf(w.rec.Phase)
			_, promoting := w.rec.Phase.(Promoting)
			check(!promoting || !d.Testing(), "a commit of the testing branch is promoted")
			check(!inFlight || d.Old.Toplevel != d.New.Toplevel, "a system is deployed over itself")
			_, wasActivating := before.Phase.(Activating)
			check(!promoting || !wasActivating, "promoted without having been judged")
			back, goes := w.rec.Phase.(RollingBack)
			kept := goes && !GoingBack(before.Phase) && d.Rollback == RollbackNever && w.obs.Slots.Running == d.New.Toplevel
			others := []Reason{ReasonAgent, ReasonOperator, ReasonReboot} // decide what the mode does not
			check(!kept || slices.Contains(others, back.Cause.Reason) || guardGaveUp(back.Cause),
				"the mode is never, the new system runs, and it goes back")
			_, wasIdle := before.Phase.(Idle)
			free := d.Purpose == PurposeRollback || command == "verb resume" // a person's own wish
			check(!inFlight || !wasIdle || free || before.Suspended.Since.IsZero(), "a suspended agent left idle")
		}
	})
}

// guardGaveUp: the guard had begun to go back, since no agent was there.
func guardGaveUp(c Cause) bool { return strings.HasPrefix(c.Why, "the guard could not") }

// dump prints all that a record holds, the room behind its slices included.
func dump(r Record) string {
	s := fmt.Sprintf("%+v", r)
	if a := r.Work.Activation; a != nil {
		s = strings.ReplaceAll(s, fmt.Sprintf("%p", a), fmt.Sprintf("%+v", *a))
	}
	return s + fmt.Sprintf("%v %v %v", r.Accepted[:cap(r.Accepted)], r.History[:cap(r.History)], r.Work.Remotes[:cap(r.Work.Remotes)])
}

func TestVerificationsAreCounted(t *testing.T) {
	fetch := Fetch{Tip: Tip{Commit: "c1", Remote: "origin"}}
	r := Fold(New(), Advanced{Job: fetch, Step: Fetched{Revision: Revision{Commit: "c1"}}})
	r = Fold(r, Failed{Job: fetch, Gate: GateUnverified, Verdict: VerdictUnsigned})
	r = Fold(r, Failed{Job: fetch, Gate: GateUnverified, Suspect: true, Verdict: VerdictNotDescendant})
	r = Fold(r, Failed{Job: fetch, Why: "connection reset"})
	want := map[Verdict]int{VerdictGood: 1, VerdictUnsigned: 1, VerdictNotDescendant: 1}
	if !reflect.DeepEqual(r.Tally.Verifications, want) {
		t.Errorf("Verifications = %v, want %v", r.Tally.Verifications, want)
	}
}

// A revert promotes nothing where the old system runs: it ends the failures in a row all the same.
func TestARevertEndsTheFailuresInARow(t *testing.T) {
	r := New()
	r.Tally.Consecutive = 2
	if r = Fold(r, Converged{Revision: Revision{Commit: "c2"}}); r.Tally.Consecutive != 0 {
		t.Errorf("%d failures in a row after the branch describes the good system", r.Tally.Consecutive)
	}
}
