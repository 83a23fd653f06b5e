package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/infra-agent/infra-agent/agent/durable"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Run delivers until ctx ends, and writes down what is owed then.
func (n *Notifier) Run(ctx context.Context) {
	stop := func() {}
	defer func() {
		stop()
		n.save(true)
	}()
	for {
		if receivers, others := n.newReceivers(); others {
			stop()
			n.forgetTroubles(receivers)
			stop = n.start(ctx, receivers)
		}
		n.save(false)
		lazy := time.NewTimer(saveLazy)
		select {
		case <-ctx.Done():
			lazy.Stop()
			return
		case <-n.changed:
		case <-lazy.C:
			n.save(true)
		}
		lazy.Stop()
	}
}

// start delivers to each of the receivers. Stop ends that, and waits until nobody sends any more.
func (n *Notifier) start(ctx context.Context, receivers []Receiver) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, r := range receivers {
		all.Go(func() { n.deliver(ctx, r) })
	}
	return func() { cancel(); all.Wait() }
}

func (n *Notifier) newReceivers() (receivers []Receiver, others bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	others, n.others = n.others, false
	return n.receivers, others
}

// save writes the file where that cannot wait, or where there is time.
func (n *Notifier) save(lazily bool) {
	n.mu.Lock()
	if !n.dirty || !n.urgent && !lazily {
		n.mu.Unlock()
		return
	}
	text, err := json.Marshal(n.state)
	n.dirty, n.urgent = false, false
	n.mu.Unlock()
	if err == nil {
		err = durable.WriteFile(n.Path, text, 0o600)
	}
	if err != nil {
		n.mu.Lock()
		n.dirty = true // again, when there is time
		n.mu.Unlock()
		n.trouble("notices", fmt.Sprintf("they are told twice or not at all when the agent ends: %v", err))
		return
	}
	n.trouble("notices", "")
}

// trouble tells that something does not work; empty: it does, which is told where it did not.
func (n *Notifier) trouble(what, why string) {
	n.mu.Lock()
	before := n.troubles[what]
	if n.troubles[what] = why; why == "" {
		delete(n.troubles, what)
	}
	n.mu.Unlock()
	if why != before {
		n.Trouble(what, why)
	}
}

// forgetTroubles ends those with receivers that are gone.
func (n *Notifier) forgetTroubles(receivers []Receiver) {
	n.mu.Lock()
	gone := maps.Clone(n.troubles)
	n.mu.Unlock()
	delete(gone, "notices")
	for _, r := range receivers {
		delete(gone, troubleWith(r))
	}
	for what := range gone {
		n.trouble(what, "")
	}
}

func troubleWith(r Receiver) string { return "receiver " + r.Name }

// deliver hands the receiver what it is owed, one by one.
func (n *Notifier) deliver(ctx context.Context, r Receiver) {
	said := ""
	wake := n.wakes(r.Name)
	for tries := 0; ctx.Err() == nil; {
		notice, owed := n.next(r.Name)
		if !owed {
			select {
			case <-ctx.Done():
			case <-wake:
			}
			continue
		}
		err := send(ctx, r.To, notice)
		if err == nil {
			n.settle(r.Name, notice, func(d *reconcile.Delivery) { d.Delivered++ })
			n.trouble(troubleWith(r), "")
			tries, said = 0, ""
			continue
		}
		if ctx.Err() != nil {
			return // that may be why it failed
		}
		tries++
		pause := pauses[min(tries, len(pauses))-1]
		_, refused := errors.AsType[*RefusedError](err)
		if tries >= giveUp && (refused || time.Since(notice.At) > keepFor) {
			n.Log.Warn("a notice is given up", "receiver", r.Name, "notice", notice.ID, "err", err)
			n.settle(r.Name, notice, func(d *reconcile.Delivery) { d.Failed++; d.Dropped++ })
			if refused { // the receiver may take the next one
				tries = 0
			}
		} else {
			n.failed(r.Name)
			if said != err.Error() {
				said = err.Error()
				n.Log.Warn("a notice does not arrive, and is tried again", "receiver", r.Name, "notice", notice.ID, "err", err)
			}
		}
		n.trouble(troubleWith(r), err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(float64(pause) * n.Spread())):
		}
	}
}

// send keeps a mistake in the agent from ending it: the notice is on disk, and would end the next one.
func send(ctx context.Context, to Sender, n reconcile.Notice) (err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("a bug in infra-agent: %v", bug)
		}
	}()
	return to.Send(ctx, n)
}

func (n *Notifier) wakes(receiver string) chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.wake[receiver]
}

// next returns the oldest notice that is owed to the receiver.
func (n *Notifier) next(receiver string) (reconcile.Notice, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if owed := n.state.Owed[receiver]; len(owed) > 0 {
		return owed[0], true
	}
	return reconcile.Notice{}, false
}

func (n *Notifier) failed(receiver string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count(receiver, func(d *reconcile.Delivery) { d.Failed++ })
}

// settle ends what is owed of the notice. It may have been dropped meanwhile.
func (n *Notifier) settle(receiver string, notice reconcile.Notice, change func(*reconcile.Delivery)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(n.state.Owed[receiver]), func(o reconcile.Notice) bool { return o.ID == notice.ID })
	if n.state.Owed[receiver] = left; len(left) == 0 {
		delete(n.state.Owed, receiver)
	}
	n.count(receiver, change)
	n.dirty, n.urgent = true, true
	poke(n.changed)
}
