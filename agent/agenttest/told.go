package agenttest

import (
	"encoding/json"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Tell notes what the agent tells, and keeps what was told as its file does: a process that is dead tells nothing.
func (p *Process) Tell(told reconcile.Told, news []reconcile.Notice) {
	p.n.Do(func() {
		if p.dead || told.Equal(p.n.told) {
			return
		}
		p.n.Diary.Notices = append(p.n.Diary.Notices, news...)
		text, err := json.Marshal(told)
		if err != nil {
			panic(err) // it is plain data
		}
		p.n.told = reconcile.Told{}
		if err := json.Unmarshal(text, &p.n.told); err != nil {
			panic(err)
		}
	})
}

// Deliveries implements [agent.Receivers]: nobody delivers.
func (p *Process) Deliveries() map[string]reconcile.Delivery { return nil }
