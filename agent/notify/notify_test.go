package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A receiver of a test takes notices, and notes when each try came.
type receiver struct {
	fail error // of each try; nil: it takes the notice
	slow time.Duration

	mu    sync.Mutex
	tries []string // seconds since the start, and the notice
	start time.Time
}

func (r *receiver) Send(ctx context.Context, n reconcile.Notice) error {
	if r.slow > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(r.slow):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries = append(r.tries, fmt.Sprintf("%v %s", time.Since(r.start), n.ID))
	return r.fail
}

func (r *receiver) got(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !reflect.DeepEqual(r.tries, want) {
		t.Errorf("the receiver saw %q, want %q", r.tries, want)
	}
}

// bench is a notifier with a file that outlives it.
type bench struct {
	path     string
	mu       sync.Mutex
	troubles map[string]string
}

// run starts a notifier, as an agent would; kill ends it, and with sudden what it had in mind is lost.
func (b *bench) run(t *testing.T, receivers ...Receiver) (n *Notifier, kill func()) {
	t.Helper()
	n = Open(Options{
		Path: b.path, Spread: func() float64 { return 1 }, Log: slog.New(slog.DiscardHandler),
		Trouble: func(what, why string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.troubles[what] = why; why == "" {
				delete(b.troubles, what)
			}
		},
	})
	n.Use(receivers)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx)
	}()
	return n, func() { cancel(); <-done }
}

// has returns the troubles that there are.
func (b *bench) has() map[string]string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.troubles)
}

func newBench(t *testing.T) *bench {
	return &bench{path: filepath.Join(t.TempDir(), "notices.json"), troubles: map[string]string{}}
}

func (r *receiver) as(name string, kinds ...reconcile.NoticeKind) Receiver {
	r.start = time.Now()
	return Receiver{Name: name, Kinds: kinds, To: r}
}

// tells tells of deployments that ended in this order.
func tells(n *Notifier, kind reconcile.NoticeKind, ids ...string) {
	for _, id := range ids {
		n.Tell(reconcile.Told{Begun: true, Deployment: id}, []reconcile.Notice{{ID: string(kind) + "/" + id, Kind: kind, At: time.Now(), Deployment: id}})
	}
}

func TestEachReceiverGetsWhatItWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, chat, program := newBench(t), &receiver{}, &receiver{slow: time.Hour}
		n, end := b.run(t, chat.as("chat", "promoted"), program.as("command", "promoted", "rolled_back"))
		defer end()
		tells(n, "promoted", "d1", "d2")
		tells(n, "rolled_back", "d3")
		synctest.Wait()
		chat.got(t, "0s promoted/d1", "0s promoted/d2") // the slow one is not in its way
		time.Sleep(4 * time.Hour)
		program.got(t, "1h0m0s promoted/d1", "2h0m0s promoted/d2", "3h0m0s rolled_back/d3")
		want := map[string]reconcile.Delivery{"chat": {Delivered: 2}, "command": {Delivered: 3}}
		if got := n.Deliveries(); !reflect.DeepEqual(got, want) {
			t.Errorf("figures are %v, want %v", got, want)
		}
	})
}

func TestItIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, chat := newBench(t), &receiver{fail: errors.New("it answers 500")}
		n, end := b.run(t, chat.as("chat", "promoted"))
		defer end()
		tells(n, "promoted", "d1", "d2")
		time.Sleep(22 * time.Minute)
		chat.got(t, "0s promoted/d1", "5s promoted/d1", "20s promoted/d1", "1m20s promoted/d1", "6m20s promoted/d1", "21m20s promoted/d1")
		if got, want := n.Deliveries()["chat"], (reconcile.Delivery{Pending: 2, Failed: 6}); got != want {
			t.Errorf("figures are %v, want %v", got, want)
		}
		if why := b.has()["receiver chat"]; why != "it answers 500" {
			t.Errorf("the trouble is %q", why)
		}
		chat.mu.Lock()
		chat.fail, chat.tries = nil, nil
		chat.mu.Unlock()
		time.Sleep(15 * time.Minute)
		chat.got(t, "36m20s promoted/d1", "36m20s promoted/d2")
		if got, want := n.Deliveries()["chat"], (reconcile.Delivery{Delivered: 2, Failed: 6}); got != want || len(b.has()) > 0 {
			t.Errorf("figures are %v, want %v; troubles %v", got, want, b.has())
		}
	})
}

// What never arrives is given up, and the next one gets its turn.
// A mistake in what sends is a try that failed, and no end of the agent.
func TestAMistakeInWhatSends(t *testing.T) {
	if err := send(t.Context(), panics{}, reconcile.Notice{}); err == nil || err.Error() != "a bug in infra-agent: index out of range" {
		t.Errorf("got %v", err)
	}
}

type panics struct{}

func (panics) Send(context.Context, reconcile.Notice) error { panic("index out of range") }

func TestItIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, chat := newBench(t), &receiver{fail: &RefusedError{"it answers 400"}}
		n, end := b.run(t, chat.as("chat", "promoted"))
		tells(n, "promoted", "d1", "d2")
		time.Sleep(70 * time.Minute) // 0s, 5s, 20s, 80s, 6m20s, 21m20s, 36m20s, 51m20s; the next one at 66m20s and 5s, 20s, 80s later
		if got, want := n.Deliveries()["chat"], (reconcile.Delivery{Pending: 1, Failed: 12, Dropped: 1}); got != want {
			t.Errorf("refused for an hour: figures are %v, want %v", got, want)
		}
		end()
		b, chat = newBench(t), &receiver{fail: errors.New("connection refused")}
		n, end = b.run(t, chat.as("chat", "promoted"))
		defer end()
		tells(n, "promoted", "d1")
		time.Sleep(24 * time.Hour)
		if got := n.Deliveries()["chat"]; got.Pending != 1 || got.Dropped != 0 {
			t.Errorf("silent for a day: figures are %v", got)
		}
		time.Sleep(15 * time.Minute)
		if got := n.Deliveries()["chat"]; got.Pending != 0 || got.Dropped != 1 {
			t.Errorf("silent for longer than a day: figures are %v", got)
		}
	})
}

// The oldest go where there are too many.
func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, chat := newBench(t), &receiver{fail: errors.New("down")}
		n, end := b.run(t, chat.as("chat", "promoted"))
		defer end()
		synctest.Wait()
		for i := range 130 {
			tells(n, "promoted", fmt.Sprint("d", i))
		}
		if got := n.Deliveries()["chat"]; got.Pending != 100 || got.Dropped != 30 {
			t.Errorf("figures are %v", got)
		}
	})
}

// What is owed outlives the agent, wherever it is killed.
func TestItArrivesAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, down, up := newBench(t), &receiver{fail: errors.New("down")}, &receiver{}
		n, end := b.run(t, down.as("chat", "promoted"), down.as("gone", "promoted"))
		tells(n, "promoted", "d1")
		synctest.Wait()
		killed := &bench{path: b.path, troubles: map[string]string{}} // what is on disk now is what a killed agent leaves
		text, err := os.ReadFile(b.path)
		if err != nil {
			t.Fatal(err)
		}
		tells(n, "promoted", "d2")
		end()
		if err := os.WriteFile(killed.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		n, end = killed.run(t, up.as("chat", "promoted"))
		if told := n.Told(); !told.Equal(reconcile.Told{Begun: true, Deployment: "d1"}) {
			t.Errorf("it remembers %+v", told)
		}
		synctest.Wait()
		up.got(t, "0s promoted/d1")
		end()
		n, end = killed.run(t, up.as("chat", "promoted")) // it arrived, and does not come again
		defer end()
		synctest.Wait()
		up.got(t, "0s promoted/d1")
		if got := n.Deliveries(); len(got) != 1 || got["chat"].Pending != 0 {
			t.Errorf("figures are %v", got)
		}
	})
}

// A killed receiver's answer is not known: the notice comes once more.
func TestAnAnswerThatNobodyHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, chat := newBench(t), &receiver{slow: time.Minute}
		n, end := b.run(t, chat.as("chat", "promoted"))
		tells(n, "promoted", "d1")
		time.Sleep(30 * time.Second)
		end()
		chat.got(t)
		if got, want := n.Deliveries()["chat"], (reconcile.Delivery{Pending: 1}); got != want || len(b.has()) > 0 {
			t.Errorf("figures are %v, want %v; troubles %v", got, want, b.has())
		}
		_, end = b.run(t, chat.as("chat", "promoted"))
		defer end()
		time.Sleep(2 * time.Minute)
		chat.got(t, "1m0s promoted/d1")
	})
}

// Other receivers, by a reload: who stays keeps what it is owed.
func TestOtherReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, old, next := newBench(t), &receiver{fail: errors.New("wrong secret")}, &receiver{}
		n, end := b.run(t, old.as("chat", "promoted"), old.as("gone", "promoted"))
		defer end()
		tells(n, "promoted", "d1")
		if got := b.has(); len(got) != 2 {
			t.Errorf("troubles are %v", got)
		}
		n.Use([]Receiver{next.as("chat", "promoted"), next.as("new", "promoted")})
		synctest.Wait()
		next.got(t, "0s promoted/d1")
		if got := n.Deliveries(); len(got) != 2 || got["chat"].Pending != 0 || got["new"].Pending != 0 {
			t.Errorf("figures are %v", got)
		}
		n.Use([]Receiver{next.as("gone", "promoted")}) // which is another one
		synctest.Wait()
		next.got(t, "0s promoted/d1")
		if got := b.has(); len(got) > 0 {
			t.Errorf("with the old ones gone, troubles are %v", got)
		}
	})
}

// What is only remembered is written when there is time, and at the end.
func TestWhatIsRememberedIsWrittenLazily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		standing := func(of string) reconcile.Told {
			return reconcile.Told{Begun: true, Standing: map[string]reconcile.Standing{"held": {Of: of}}}
		}
		n, end := b.run(t)
		synctest.Wait()
		n.Tell(standing("a"), nil)
		synctest.Wait()
		if _, err := os.Stat(b.path); err == nil {
			t.Error("it was written at once")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if text, _ := os.ReadFile(b.path); !strings.Contains(string(text), `"of":"a"`) {
			t.Errorf("after a minute there is %s", text)
		}
		n.Tell(standing("b"), nil)
		end()
		if text, _ := os.ReadFile(b.path); !strings.Contains(string(text), `"of":"b"`) {
			t.Errorf("at the end there is %s", text)
		}
	})
}

// A file that cannot be read or written keeps nobody from being told.
func TestWithoutAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, chat := newBench(t), &receiver{}
		if err := os.WriteFile(b.path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		n, end := b.run(t, chat.as("chat", "promoted"))
		if n.Told().Begun {
			t.Error("a damaged file is taken for one")
		}
		tells(n, "promoted", "d1")
		synctest.Wait()
		chat.got(t, "0s promoted/d1")
		end()
		b.path = filepath.Join(filepath.Dir(b.path), "none", "notices.json")
		n, end = b.run(t, chat.as("chat", "promoted"))
		defer end()
		tells(n, "promoted", "d2")
		synctest.Wait()
		if chat.got(t, "0s promoted/d1", "0s promoted/d2"); !strings.Contains(b.has()["notices"], "no such file") {
			t.Errorf("troubles are %v", b.has())
		}
		if err := os.Mkdir(filepath.Dir(b.path), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if len(b.has()) > 0 {
			t.Errorf("troubles are %v", b.has())
		}
	})
}
