package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	jitter      = 0.1 // of every wait between two polls
	maxPeriods  = 10  // longest backoff, in periods
	leastPeriod = 0.1 // shortest backoff, in periods
)

// A Poll is the answer of one remote to one question.
type Poll struct {
	Remote string
	Tips         // none if Err is set
	Err    error // [ErrNoBranch] when the remote answered without the branch
	Anew   bool  // asked by a process of its own, and over a connection of its own
	Asked  time.Time
	At     time.Time // when the answer came
}

// A Poller asks every remote again and again, each at its own pace: one that
// does not answer never delays another.
type Poller struct {
	opts   Options
	wake   []chan struct{} // by remote
	anew   []chan struct{} // by remote
	list   func(ctx context.Context, r Remote, b Branches, anew bool) (Tips, error)
	end    func()         // gives kept connections up
	random func() float64 // in [0, 1)
}

// NewPoller returns a poller for the remotes and the branch of o.
func NewPoller(o Options) *Poller {
	p := &Poller{opts: o, random: rand.Float64}
	askers := map[string]*asker{}
	for _, r := range o.Remotes {
		p.wake, p.anew = append(p.wake, make(chan struct{}, 1)), append(p.anew, make(chan struct{}, 1))
		askers[r.Name] = &asker{remote: r, child: func(ctx context.Context, r Remote) (Tips, error) {
			answer, err := o.run(ctx, job{Ask: true, Remote: r, Branches: o.Branches, Dir: o.dir(r), Limits: o.Limits})
			return Tips{answer.Commit, answer.Testing}, err
		}}
	}
	p.list = func(ctx context.Context, r Remote, b Branches, anew bool) (Tips, error) {
		if anew {
			return askers[r.Name].tipsAnew(ctx, b)
		}
		return askers[r.Name].tips(ctx, b)
	}
	p.end = func() {
		for _, a := range askers {
			a.close()
		}
	}
	return p
}

// Run polls until ctx ends. It calls report for each answer, one at a time.
// The first poll of each remote comes at a random point of the period, so that
// nodes that start together do not ask together.
func (p *Poller) Run(ctx context.Context, report func(Poll)) {
	polls := make(chan Poll)
	var remotes sync.WaitGroup
	for i, remote := range p.opts.Remotes {
		remotes.Go(func() { p.follow(ctx, remote, p.wake[i], p.anew[i], polls) })
	}
	go func() {
		remotes.Wait()
		p.end()
		close(polls)
	}()
	for poll := range polls {
		report(poll)
	}
}

// Once asks every remote once, and returns their answers in the order of the settings.
func (p *Poller) Once(ctx context.Context) []Poll {
	polls := make([]Poll, len(p.opts.Remotes))
	var all sync.WaitGroup
	for i, remote := range p.opts.Remotes {
		all.Go(func() { polls[i] = p.ask(ctx, remote) })
	}
	all.Wait()
	p.end()
	return polls
}

// Now makes the next poll of every remote happen at once.
func (p *Poller) Now() { each(p.wake) }

// Anew is Now, and asks as a fetch would: what this process has kept, a connection, an address, the
// system's authorities, says nothing about the machine of now. A remote that does not answer is asked
// in this way until it does.
func (p *Poller) Anew() { each(p.anew) }

func each(remotes []chan struct{}) {
	for _, wake := range remotes {
		select {
		case wake <- struct{}{}:
		default: // it is already awake
		}
	}
}

func (p *Poller) follow(ctx context.Context, remote Remote, wake, wakeAnew <-chan struct{}, polls chan<- Poll) {
	wait, anew := p.part(p.random()), true
	for failures := 0; ; {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-wake:
			timer.Stop()
		case <-wakeAnew:
			timer.Stop()
			anew = true
		}
		poll := p.poll(ctx, remote, anew)
		if ctx.Err() != nil {
			return
		}
		if poll.Err == nil || errors.Is(poll.Err, ErrNoBranch) {
			failures, anew = 0, false
		} else {
			failures++
		}
		wait = p.wait(failures)
		if busy, is := errors.AsType[*BusyError](poll.Err); is {
			wait = max(wait, time.Duration(float64(busy.After)*(1+jitter*p.random()))) // nodes that were told so do not all come back at once
		}
		select {
		case <-ctx.Done():
			return
		case polls <- poll:
		}
	}
}

func (p *Poller) ask(ctx context.Context, remote Remote) Poll { return p.poll(ctx, remote, false) }

func (p *Poller) poll(ctx context.Context, remote Remote, anew bool) (poll Poll) {
	asked := time.Now()
	defer func() {
		if bug := recover(); bug != nil { // nothing that a remote sends may end the agent
			err := fmt.Errorf("poll %s: a bug in infra-agent: %v (hint: please report it)", remote.Name, bug)
			poll = Poll{Remote: remote.Name, Err: err, Anew: anew, Asked: asked, At: time.Now()}
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, remote.Timeout, fmt.Errorf("no answer within %s", remote.Timeout))
	defer cancel()
	tips, err := p.list(ctx, remote, p.opts.Branches, anew)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		err = fmt.Errorf("poll %s: %w", remote.Name, err)
	}
	return Poll{Remote: remote.Name, Tips: tips, Err: err, Anew: anew, Asked: asked, At: time.Now()}
}

// wait returns how long to wait after so many failures in a row: a period with a
// little jitter, or a random part of a time that doubles with each failure.
func (p *Poller) wait(failures int) time.Duration {
	if failures == 0 {
		return p.part(1 + jitter*(2*p.random()-1))
	}
	most := float64(maxPeriods)
	if failures < 4 {
		most = min(most, float64(int(1)<<failures))
	}
	return p.part(max(leastPeriod, most*p.random()))
}

func (p *Poller) part(periods float64) time.Duration {
	return time.Duration(periods * float64(p.opts.Interval))
}
