package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/command"
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
	if exit, ran := errors.AsType[*command.ExitError](err); ran {
		return errors.New(explained(exit.Tail))
	}
	return err
}

// DiffClosures lists what differs between the closures of two systems, by package: its
// versions, and its size where that changes by more than a few kilobytes. Both have to be in the store.
func (n *Nix) DiffClosures(ctx context.Context, before, after reconcile.Toplevel) ([]string, error) {
	out, err := n.run(ctx, append(append([]string{"nix"}, flags...), "store", "diff-closures", string(before), string(after)))
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", before, after, err)
	}
	var lines []string
	for line := range strings.Lines(stripColour(string(out))) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// LockedTimes returns when each of a flake's own inputs was made, by the text of its
// flake.lock; of those that say so.
func LockedTimes(lock []byte) (map[string]time.Time, error) {
	var file struct {
		Root  string `json:"root"`
		Nodes map[string]struct {
			Inputs map[string]any `json:"inputs"` // a node's name, or a path of inputs that it follows
			Locked struct {
				LastModified int64 `json:"lastModified"`
			} `json:"locked"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(lock, &file); err != nil {
		return nil, fmt.Errorf("flake.lock: %w", err)
	}
	times := map[string]time.Time{}
	for name, input := range file.Nodes[file.Root].Inputs {
		if node, is := input.(string); is && file.Nodes[node].Locked.LastModified > 0 {
			times[name] = time.Unix(file.Nodes[node].Locked.LastModified, 0).UTC()
		}
	}
	return times, nil
}
