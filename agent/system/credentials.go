package system

import (
	"context"
	"fmt"
	"path/filepath"
)

// Credentials returns the files that systemd copies for the agent's unit when it starts it,
// by the names of the copies: LoadCredential of systemd.exec(5). What comes from elsewhere
// (a socket, the credentials of the machine, a directory of them) is not among them.
func (n *Node) Credentials(ctx context.Context) (map[string]string, error) {
	files := map[string]string{}
	err := n.Bus.call(ctx, func(ctx context.Context, c connection) error {
		p, err := c.GetUnitTypePropertyContext(ctx, AgentUnit, "Service", "LoadCredential")
		if err != nil {
			return unlessGone(err)
		}
		pairs, _ := p.Value.Value().([][]any)
		for _, pair := range pairs {
			if len(pair) != 2 {
				continue
			}
			name, _ := pair[0].(string)
			file, _ := pair[1].(string)
			if name != "" && filepath.IsAbs(file) {
				files[name] = file
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the credentials of %s: %w", AgentUnit, err)
	}
	return files, nil
}
