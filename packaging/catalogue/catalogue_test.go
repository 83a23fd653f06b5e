package catalogue_test

import (
	"reflect"
	"testing"

	"github.com/infra-agent/infra-agent/packaging/catalogue"
)

func TestProblems(t *testing.T) {
	c, err := catalogue.Agent()
	if err != nil {
		t.Fatal(err)
	}
	c = c.With(catalogue.Rules("  - record: wave:infra_agent_nodes:count\n    expr: |\n      count by (job, wave) (\n        infra_agent_node_info\n      )\n"))
	for expr, want := range map[string][]string{
		`infra_agent_in_sync == 1`:                                                        nil,
		`infra_agent_insync == 1`:                                                         {"there is no metric infra_agent_insync"},
		`infra_agent_state{job="x", state="idle"}`:                                        nil,
		`infra_agent_state{phase="idle"}`:                                                 {"infra_agent_state has no label phase"},
		`infra_agent_state{state=~"idle|asleep"}`:                                         {`infra_agent_state never has state="asleep"`},
		`infra_agent_state{state=~"$state"}`:                                              nil,
		`sum by (job, wavve) (infra_agent_in_sync)`:                                       {"no metric has the label wavve"},
		`wave:infra_agent_nodes:count{wave="1"}`:                                          nil,
		`wave:infra_agent_nodes:count{config="1"}`:                                        {"wave:infra_agent_nodes:count has no label config"},
		`wave:infra_agent_nodes:sum`:                                                      {"there is no metric wave:infra_agent_nodes:sum"},
		`time() - (infra_agent_last_poll_timestamp_seconds > 0) > 1`:                      nil,
		`time() - (max by (job) (infra_agent_last_poll_timestamp_seconds) > 0) < bool 10`: nil,
		`time() - infra_agent_last_poll_timestamp_seconds > 1`: {
			"an age without (x > 0): time() - infra_agent_last_poll_timestamp_seconds > 1",
		},
	} {
		if got := c.Problems(expr); !reflect.DeepEqual(got, want) {
			t.Errorf("Problems(%s) = %q, want %q", expr, got, want)
		}
	}
}
