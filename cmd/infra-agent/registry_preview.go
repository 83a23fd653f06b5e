package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/agent/nix"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

func registryPreviewCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "preview REV..REV [CHECKOUT]", Short: "Show what a change does to each node, by the manifests of its two ends", Args: cobra.RangeArgs(1, 2),
		Long: `Show what a change does to each node, by the manifests of its two ends.

REV..REV are two commits of the repository at CHECKOUT, "." without it, as git writes them;
an end that is left out is HEAD. Their manifests are those that "registry manifest --out DIR"
has written. Nothing is evaluated or built: of systems that are both in the Nix store it
says what needs a reboot, which units change, and what the closures bring.`,
		RunE: func(c *cobra.Command, args []string) error {
			format, _ := c.Flags().GetString("format")
			if format != "markdown" && format != "json" {
				return usageError(c, fmt.Errorf("there is no format %q: want markdown or json", format))
			}
			checkout := "."
			if len(args) == 2 {
				checkout = args[1]
			}
			from, to, isRange := strings.Cut(args[0], "..")
			if !isRange || strings.HasPrefix(to, ".") {
				return usageError(c, fmt.Errorf("%q: want two commits with two dots between them, such as main..HEAD", args[0]))
			}
			dir, _ := c.Flags().GetString("manifests")
			before, err := openManifest(c.Context(), checkout, from, dir)
			if err != nil {
				return err
			}
			after, err := openManifest(c.Context(), checkout, to, dir)
			if err != nil {
				return err
			}
			p := previewOf(c.Context(), before, after)
			if p.Inputs, err = inputsMoved(c.Context(), checkout, before.Commit, after.Commit); err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(c.OutOrStdout(), p)
			}
			return p.markdown(c.OutOrStdout())
		},
	}
	c.Flags().String("manifests", "manifests", "directory with the manifests")
	c.Flags().String("format", "markdown", "markdown, for a comment at a forge, or json")
	return c
}

// openManifest reads the manifest of a commit.
func openManifest(ctx context.Context, checkout, rev, dir string) (*manifest.Manifest, error) {
	if rev == "" {
		rev = "HEAD"
	}
	name, err := revParse(ctx, checkout, rev+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("%s has no commit %s: %w (hint: a shallow clone lacks it: fetch it first)", checkout, rev, err)
	}
	path := filepath.Join(dir, manifest.FileName(reconcile.Commit(name), ""))
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w (hint: infra-agent registry manifest --commit %s --out %s)", rev, err, name, dir)
	}
	m, err := manifest.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// A preview is what a change does.
type preview struct {
	Schema int              `json:"schema"` // 1; grows only by new keys
	Before reconcile.Commit `json:"before"`
	After  reconcile.Commit `json:"after"`
	Nodes  []nodePreview    `json:"nodes"`  // by name
	Inputs []inputMove      `json:"inputs"` // of the flake, that are from another time
}

// A nodePreview is what it does to one node.
type nodePreview struct {
	Node    string   `json:"node"`
	Change  string   `json:"change"` // unchanged, changed, new, gone
	Reboot  []string `json:"reboot,omitempty"`
	Units   []string `json:"units,omitempty"`
	Closure []string `json:"closure,omitempty"` // by package, as "nix store diff-closures" says it
	Unseen  string   `json:"unseen,omitempty"`  // why there is no more to say
}

// An inputMove is an input of the flake that was locked anew.
type inputMove struct {
	Name   string    `json:"name"`
	Before time.Time `json:"before"`
	After  time.Time `json:"after"`
}

func previewOf(ctx context.Context, before, after *manifest.Manifest) preview {
	p := preview{Schema: 1, Before: before.Commit, After: after.Commit, Nodes: []nodePreview{}, Inputs: []inputMove{}}
	all := maps.Clone(before.Nodes)
	maps.Copy(all, after.Nodes)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, there := before.Nodes[name]
		is, stays := after.Nodes[name]
		n := nodePreview{Node: name, Change: "changed"}
		switch {
		case !there:
			n.Change = "new"
		case !stays:
			n.Change = "gone"
		case was.Toplevel == is.Toplevel:
			n.Change = "unchanged"
		default:
			n.look(ctx, was.Toplevel, is.Toplevel)
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}

// look compares two systems, if both are at hand.
func (n *nodePreview) look(ctx context.Context, before, after reconcile.Toplevel) {
	for _, top := range []reconcile.Toplevel{before, after} {
		if _, err := os.Stat(string(top)); err != nil {
			n.Unseen = fmt.Sprintf("%s is not in this machine's Nix store", top)
			return
		}
	}
	d, err := (&system.Node{}).Compare(before, after)
	if err == nil {
		n.Reboot, n.Units = d.Reboot, d.Units
		n.Closure, err = new(nix.Nix).DiffClosures(ctx, before, after)
	}
	if err != nil {
		n.Unseen = err.Error()
	}
}

// inputsMoved compares the locks of two commits; of a repository without one there are none.
func inputsMoved(ctx context.Context, checkout string, before, after reconcile.Commit) ([]inputMove, error) {
	var times [2]map[string]time.Time
	for i, c := range []reconcile.Commit{before, after} {
		const file = "flake.lock"
		there, err := git(ctx, checkout, "ls-tree", "--name-only", string(c), "--", file)
		if err != nil || there == "" {
			return []inputMove{}, err
		}
		lock, err := git(ctx, checkout, "show", string(c)+":./"+file)
		if err != nil {
			return nil, err
		}
		if times[i], err = nix.LockedTimes([]byte(lock)); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Short(), err)
		}
	}
	moves := []inputMove{}
	for _, name := range slices.Sorted(maps.Keys(times[1])) {
		if was, there := times[0][name]; there && !was.Equal(times[1][name]) {
			moves = append(moves, inputMove{name, was, times[1][name]})
		}
	}
	return moves, nil
}

// markdown writes what forges show below a pull request.
func (p preview) markdown(w io.Writer) error {
	by := map[string][]string{}
	for _, n := range p.Nodes {
		by[n.Change] = append(by[n.Change], n.Node)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %d of %s change\n", len(p.Nodes)-len(by["unchanged"]), counted(len(p.Nodes), "node"))
	if rows := len(by["changed"]); rows > 0 {
		b.WriteString("\n| node | reboot for | units | closure |\n| --- | --- | --- | --- |\n")
	}
	for _, n := range p.Nodes {
		if n.Change != "changed" {
			continue
		}
		if n.Unseen != "" {
			fmt.Fprintf(&b, "| %s | not seen: %s | | |\n", cell(n.Node), cell(n.Unseen))
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(n.Node), cell(strings.Join(n.Reboot, ", ")), cell(firstTen(n.Units, ", ")), cell(firstTen(n.Closure, "; ")))
	}
	for _, change := range []string{"new", "gone"} {
		if nodes := by[change]; len(nodes) > 0 {
			fmt.Fprintf(&b, "\n%s%s: %s\n", strings.ToUpper(change[:1]), change[1:], cell(strings.Join(nodes, ", ")))
		}
	}
	for _, m := range p.Inputs {
		fmt.Fprintf(&b, "\nInput %s: %s → %s (%+d days)\n", cell(m.Name), m.Before.Format(time.DateOnly), m.After.Format(time.DateOnly), int(m.After.Sub(m.Before).Hours()/24))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// firstTen is as many as a person reads in a cell.
func firstTen(all []string, between string) string {
	const most = 10
	if len(all) <= most {
		return strings.Join(all, between)
	}
	return strings.Join(all[:most], between) + fmt.Sprintf("%sand %d more", between, len(all)-most)
}

// cell keeps a text within its cell: names of units and packages are the commit's.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "`", "'", "<", "&lt;", "@", "@\u200b").Replace(text)
}
