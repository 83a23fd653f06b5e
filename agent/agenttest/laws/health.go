package laws

import (
	"testing"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A Service is what the laws of [agent.Health] need.
type Service struct {
	Health agent.Health

	Green, Slow reconcile.Check // Slow takes longer than its timeout

	Answers string // a connectivity target
}

// Health are the laws of [agent.Health].
var Health = []Law[Service]{
	{"each check that is known has a result, and no other", func(t testing.TB, s Service) {
		unknown := s.Green
		unknown.Name, unknown.Kind = "unknown", "of a newer agent"
		got := s.Health.Run(t.Context(), []reconcile.Check{s.Green, unknown})
		if len(got) != 1 || !got[s.Green.Name].OK {
			t.Errorf("got %+v", got)
		}
	}},
	{"a check that takes longer than its timeout is red, and says why", func(t testing.TB, s Service) {
		if got := s.Health.Run(t.Context(), []reconcile.Check{s.Slow})[s.Slow.Name]; got.OK || got.Detail == "" {
			t.Errorf("got %+v", got)
		}
	}},
	{"each target is told of", func(t testing.TB, s Service) {
		got := s.Health.Answered(t.Context(), []string{s.Answers})
		if answered, told := got[s.Answers]; !answered || !told || len(got) != 1 {
			t.Errorf("got %v", got)
		}
	}},
}
