package handover

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// The command line and the answer of schema 1 are understood for ever.
func TestFrozen(t *testing.T) {
	want := []string{"/nix/store/b/bin/infra-agent", "check", "--handover", "--record", "/var/lib/infra-agent/state.json", "/nix/store/b/etc/infra-agent/config.toml"}
	if got := Args(want[0], want[4], want[5]); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	poll := []string{"/nix/store/a/bin/infra-agent", "look", "remotes", "--config", "/nix/store/a/etc/infra-agent/config.toml"}
	if got := PollArgs(poll[0], poll[4]); !reflect.DeepEqual(got, poll) {
		t.Errorf("got %q, want %q", got, poll)
	}
	a, err := Parse([]byte(`{"schema":1,"checks":[{"name":"web","kind":"tcp","required":true,"within":60000000000,"interval":5000000000,"timeout":5000000000,"successes":2,"target":"localhost:80"}]}`))
	web := reconcile.Check{
		Name: "web", Kind: reconcile.CheckTCP, Required: true, Within: time.Minute, Interval: 5 * time.Second, Timeout: 5 * time.Second, Successes: 2, Target: "localhost:80",
	}
	if err != nil || !reflect.DeepEqual(a, Answer{Schema: 1, Checks: []reconcile.Check{web}}) {
		t.Errorf("got %+v, %v", a, err)
	}
}

// An older agent carries a newer one's checks along as they are.
func TestNewerChecksAreCarriedAlong(t *testing.T) {
	const check = `{"name":"rpc","kind":"grpc","required":true,"within":1,"interval":1,"timeout":1,"successes":1,"service":{"a":[1,2]}}`
	a, err := Parse([]byte(`{"schema":2,"later":true,"checks":[` + check + `]}`))
	if err != nil || len(a.Checks) != 1 || a.Checks[0].Kind != "grpc" {
		t.Fatalf("got %+v, %v", a, err)
	}
	var got, want any
	written, err := json.Marshal(a.Checks[0])
	if err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal(written, &got) != nil || json.Unmarshal([]byte(check), &want) != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s is written as %s", check, written)
	}
}

func TestNoAnswer(t *testing.T) {
	for _, text := range []string{"", "usage: infra-agent", `{"schema":0}`, `[]`, `{"schema":1,"checks":[{"name":1}]}`} {
		if a, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is taken for an answer: %+v", text, a)
		}
	}
}
