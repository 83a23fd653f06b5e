package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/infra-agent/infra-agent/reconcile"
)

const somewhere reconcile.Commit = "1111111111111111111111111111111111111111"

// rehearse runs a poller for some time in which random always says r, and
// returns "remote@seconds result" for each answer.
func rehearse(p *Poller, r float64, until time.Duration) []string {
	p.random = func() float64 { return r }
	ctx, cancel := context.WithTimeout(context.Background(), until)
	defer cancel()
	start := time.Now()
	var got []string
	p.Run(ctx, func(poll Poll) {
		result := poll.Commit.Short()
		if poll.Err != nil {
			result = poll.Err.Error()
		}
		got = append(got, fmt.Sprintf("%s@%g %s", poll.Remote, poll.At.Sub(start).Seconds(), result))
	})
	return got
}

func newTestPoller(list func(context.Context, Remote, Branches, bool) (Tips, error), names ...string) *Poller {
	o := Options{Branches: onMain, Interval: 100 * time.Second}
	for _, name := range names {
		o.Remotes = append(o.Remotes, Remote{Name: name, Timeout: 30 * time.Second})
	}
	p := NewPoller(o)
	p.list = list
	return p
}

func answers(context.Context, Remote, Branches, bool) (Tips, error) {
	return Tips{Commit: somewhere}, nil
}

func TestPollsComeOncePerPeriod(t *testing.T) {
	for _, c := range []struct {
		random float64
		want   []string
	}{
		{0, []string{"a@0 11111111", "a@90 11111111", "a@180 11111111", "a@270 11111111"}},
		{0.5, []string{"a@50 11111111", "a@150 11111111", "a@250 11111111"}},
		{0.75, []string{"a@75 11111111", "a@180 11111111", "a@285 11111111"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := rehearse(newTestPoller(answers, "a"), c.random, 300*time.Second)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("random %g (-want +got):\n%s", c.random, diff)
			}
		})
	}
}

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 6
		list := func(context.Context, Remote, Branches, bool) (Tips, error) {
			if failures--; failures >= 0 {
				return Tips{}, errors.New("down")
			}
			return Tips{Commit: somewhere}, nil
		}
		const down = "poll a: down"
		got := rehearse(newTestPoller(list, "a"), 0.5, 2500*time.Second)
		want := []string{ // half of 2, 4, 8, 10, 10, 10 periods; then every period again
			"a@50 " + down, "a@150 " + down, "a@350 " + down, "a@750 " + down, "a@1250 " + down, "a@1750 " + down,
			"a@2250 11111111", "a@2350 11111111", "a@2450 11111111",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("polls (-want +got):\n%s", diff)
		}
	})
}

func TestBackOffIsNeverNothing(t *testing.T) {
	p := newTestPoller(answers, "a")
	p.random = func() float64 { return 0 }
	if got := p.wait(1000); got != 10*time.Second {
		t.Errorf("least wait after failures = %s, want 10s", got)
	}
	p.random = func() float64 { return 0.999 }
	if got := p.wait(1000); got != 999*time.Second {
		t.Errorf("longest wait after failures = %s, want 999s", got)
	}
}

func TestMissingBranchIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := func(context.Context, Remote, Branches, bool) (Tips, error) {
			return Tips{}, noBranch("main", "the repository is empty")
		}
		p := newTestPoller(list, "a")
		p.random = func() float64 { return 0.5 }
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Second)
		defer cancel()
		n := 0
		p.Run(ctx, func(poll Poll) {
			n++
			if !errors.Is(poll.Err, ErrNoBranch) {
				t.Errorf("Err = %v, want ErrNoBranch", poll.Err)
			}
			wantRejected(t, poll.Err, reconcile.GateSource, "poll a", "main", "empty")
		})
		if n != 3 {
			t.Errorf("polls = %d, want 3: a missing branch does not slow down polling", n)
		}
	})
}

func TestDeadRemoteDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := func(ctx context.Context, r Remote, _ Branches, _ bool) (Tips, error) {
			if r.Name == "live" {
				return Tips{Commit: somewhere}, nil
			}
			<-ctx.Done()
			return Tips{}, ctx.Err()
		}
		got := rehearse(newTestPoller(list, "dead", "live"), 0.5, 200*time.Second)
		want := []string{"live@50 11111111", "dead@80 poll dead: no answer within 30s", "live@150 11111111"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("polls (-want +got):\n%s", diff)
		}
	})
}

// What is kept shows nothing of the machine of now: at the start, and when it is wanted, a remote is asked anew until it answers.
func TestAnewUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []bool
		list := func(_ context.Context, _ Remote, _ Branches, anew bool) (Tips, error) {
			asked = append(asked, anew)
			if n := len(asked); n == 1 || n == 4 {
				return Tips{}, errors.New("down")
			}
			return Tips{Commit: somewhere}, nil
		}
		p := newTestPoller(list, "a")
		time.AfterFunc(260*time.Second, p.Anew) // after the third
		rehearse(p, 0.5, 600*time.Second)
		want := []bool{true, true, false, true, true, false}
		if diff := cmp.Diff(want, asked[:min(len(asked), len(want))]); diff != "" {
			t.Errorf("asked anew (-want +got):\n%s", diff)
		}
	})
}

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPoller(answers, "a", "b")
		p.Now()
		p.Now() // twice before a poll is still one poll
		time.AfterFunc(20*time.Second, p.Now)
		got := rehearse(p, 0.5, 100*time.Second)
		slices.Sort(got) // two remotes answer at the same moment
		want := []string{"a@0 11111111", "a@20 11111111", "b@0 11111111", "b@20 11111111"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("polls (-want +got):\n%s", diff)
		}
	})
}

func TestBusyRemoteIsAskedWhenItSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := func(context.Context, Remote, Branches, bool) (Tips, error) {
			return Tips{}, fmt.Errorf("poll: %w", &BusyError{Status: "429", After: 700 * time.Second})
		}
		got := rehearse(newTestPoller(list, "a"), 0.5, 800*time.Second)
		want := []string{"a@50 poll a: poll: the server is busy: 429", "a@785 poll a: poll: the server is busy: 429"}
		if !slices.Equal(got, want) {
			t.Errorf("polls %q, want %q", got, want)
		}
	})
}

// What a remote sends may reach a mistake of the agent: that is a poll that failed.
func TestAMistakeIsAPollThatFailed(t *testing.T) {
	p := newTestPoller(func(context.Context, Remote, Branches, bool) (Tips, error) { panic("index out of range") }, "origin")
	polls := p.Once(t.Context())
	if len(polls) != 1 || polls[0].Remote != "origin" || polls[0].Err == nil || !strings.Contains(polls[0].Err.Error(), "a bug in infra-agent: index out of range") {
		t.Errorf("got %+v", polls)
	}
}
