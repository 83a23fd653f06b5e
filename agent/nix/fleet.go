package nix

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/infra-agent/infra-agent/reconcile"
)

// SystemOf returns for what kind of machine a derivation is built: x86_64-linux.
func (n *Nix) SystemOf(ctx context.Context, drv reconcile.Derivation) (string, error) {
	out, err := n.run(ctx, append(append([]string{"nix"}, flags...), "derivation", "show", string(drv)))
	if err != nil {
		return "", fmt.Errorf("show %s: %w", drv, err)
	}
	// Derivations by their paths; from Nix 2.33 on below a key, without their directory.
	type derivations map[string]struct {
		System string `json:"system"`
	}
	var newer struct {
		Derivations derivations `json:"derivations"`
	}
	all := derivations{}
	if err := json.Unmarshal(out, &newer); err == nil && newer.Derivations != nil {
		all = newer.Derivations
	} else if err := json.Unmarshal(out, &all); err != nil {
		return "", fmt.Errorf("show %s: %w", drv, err)
	}
	for _, d := range all {
		if d.System != "" && len(all) == 1 {
			return d.System, nil
		}
	}
	return "", fmt.Errorf("show %s: Nix does not say for which system it is", drv)
}

// Realise builds what derivations describe, or gets it from the binary caches of this
// machine's own settings. What can be done is done, whatever else fails.
func (n *Nix) Realise(ctx context.Context, drvs []reconcile.Derivation) error {
	args := []string{"nix-store", "--realise", "--keep-going", "--quiet"}
	for _, drv := range drvs {
		args = append(args, string(drv))
	}
	_, err := n.run(ctx, args)
	return err
}
