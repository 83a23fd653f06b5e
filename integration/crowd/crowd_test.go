package crowd

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// While a commit goes round there are nodes at each point of the way, and all but those that fail or are held arrive.
func TestACommitGoesRound(t *testing.T) {
	c := Crowd{Nodes: 1000, Every: 10 * time.Minute}
	pushed := time.Unix(0, 3_000_000*int64(c.Every))
	for after, want := range map[time.Duration]string{
		0:               "building held",
		3 * time.Minute: "building confirming held idle",
		c.Every - 1:     "held idle",
	} {
		states, inSync := map[string]int{}, 0
		for i := range c.Nodes {
			s := c.node(i, pushed.Add(after)).snapshot()
			states[s.State()]++
			if s.InSync() {
				inSync++
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(states)), " "); got != want {
			t.Errorf("%v after the push the states are %s, want %s", after, got, want)
		}
		if done := after == c.Every-1; done != (inSync > 900) || inSync == c.Nodes {
			t.Errorf("%v after the push %d nodes are in sync", after, inSync)
		}
	}
}

func TestEachTargetIsServed(t *testing.T) {
	c := Crowd{Nodes: 2, Every: time.Minute}
	get := func(target string) (int, string) {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+target+"/metrics", http.NoBody))
		return w.Code, w.Body.String()
	}
	for _, target := range c.Targets() {
		config := `config="` + strings.TrimSuffix(target, ":10119") + `"`
		if code, text := get(target); code != http.StatusOK || !strings.Contains(text, config) {
			t.Errorf("%s answers %d, %s", target, code, text)
		}
	}
	for _, target := range []string{"node-00002:10119", "node--1:10119", "10.0.0.1:10119"} {
		if code, _ := get(target); code != http.StatusBadGateway {
			t.Errorf("%s answers %d, want 502", target, code)
		}
	}
}
