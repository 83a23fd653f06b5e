package nix

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// A diagnosis says in plain words why a revision cannot be evaluated here, and what
// to do. Nix's own words are about its internals.
type diagnosis struct {
	gate reconcile.Gate
	text string
	hint string
}

func (d diagnosis) String() string { return fmt.Sprintf("%s (hint: %s)", d.text, d.hint) }

var (
	lockVersion = regexp.MustCompile(`lock file '.*' has unsupported version (\d+)`)
	repository  = regexp.MustCompile(`(?:repository|Git repository) '([^']+)'`)
	missingPath = regexp.MustCompile(`path '/*(/[^']+)' does not exist`)
	meant       = regexp.MustCompile(`Did you mean .*\?`)
	noText      = regexp.MustCompile(`contents of the file '([^']+)' cannot be represented as a Nix string`)
	refused     = regexp.MustCompile(`^HTTP error 4(0[134]|10)\b`)
)

// diagnose finds the cause of a failure in what Nix printed and in the flake's
// files. ok is false for everything that Nix says best itself.
func (n *Nix) diagnose(ctx context.Context, rev reconcile.Revision, lines []string) (d diagnosis, ok bool) {
	said := stripColour(strings.Join(lines, "\n"))
	dir := filepath.Join(rev.Tree, n.Subdir)
	inputs := lockedInputs(dir)
	found := func(gate reconcile.Gate, hint, text string, args ...any) (diagnosis, bool) {
		return diagnosis{gate, fmt.Sprintf(text, args...), hint}, true
	}
	if m := lockVersion.FindStringSubmatch(said); m != nil {
		return found(reconcile.GateEvaluate, "upgrade Nix on this node, or lock with the older one", "this node's Nix is too old for flake.lock, which is of version %s", m[1])
	}
	switch {
	case lacksAttribute(said):
		hint := "add the configuration to " + cmp.Or(n.File.Path, "the flake") + ", or correct the node in the registry"
		if m := meant.FindString(said); m != "" {
			hint = "d" + m[1:] + " A" + hint[1:]
		}
		return found(reconcile.GateIdentity, hint, "%s does not have this output", cmp.Or(n.File.Path, "the flake"))
	case n.File.Path != "" && strings.Contains(said, "was not found in the Nix search path"):
		return found(reconcile.GateEvaluate, "pin it in the repository (npins, niv, fetchTarball with a hash), or set nix.impure", "%s looks something up in NIX_PATH, which is another one on every machine", n.File.Path)
	case n.File.Path != "" && !isFile(n.file(rev)):
		return found(reconcile.GateEvaluate, "correct nix.file or source.subdir", "there is no %s in the repository's %s", n.File.Path, cmp.Or(n.Subdir, "root"))
	case strings.Contains(said, "flake.nix' does not exist") && !isFile(filepath.Join(dir, "flake.nix")): // else it is an input's
		return found(reconcile.GateEvaluate, "set source.subdir to the flake's directory", "there is no flake.nix in the repository's %s", cmp.Or(n.Subdir, "root"))
	case strings.Contains(said, "while updating the lock file"): // it may fail to get a new input before it says why it wants it
		amiss := n.unlocked(ctx, dir, inputs)
		if amiss == "" && strings.Contains(said, "requires lock file changes but") {
			amiss = "an input of flake.nix has another URL, or follows another input"
		}
		if amiss != "" {
			return found(reconcile.GateEvaluate, lockAgain, "flake.lock is stale: %s", amiss)
		}
	case n.Memory > 0 && strings.Contains(said, "error: out of memory"):
		return found("", "if the configuration is that large, raise limits.evaluate_memory", "Nix needs more than %d MiB of memory", n.Memory>>20)
	case strings.Contains(said, "GITCRYPT") || n.readsEncrypted(rev.Tree, said):
		return found(reconcile.GateEvaluate, "the agent does not decrypt: move what Nix evaluates out of git-crypt, and decrypt secrets on the node (sops-nix, agenix)", "a file that Nix reads is locked by git-crypt")
	}
	if m := missingPath.FindStringSubmatch(said); m != nil {
		if amiss := n.unlocked(ctx, dir, inputs); amiss != "" { // Nix looks at a new input before it looks at the lock
			return found(reconcile.GateEvaluate, lockAgain, "flake.lock is stale: %s", amiss)
		}
		if name, is := inputs.at(m[1]); is {
			return found(reconcile.GateEvaluate, "give it a URL that every node can reach, and lock again", "input %s is the directory %s of the machine that locked it", name, m[1])
		}
	}
	if m := repository.FindStringSubmatch(said); m != nil {
		name, _ := inputs.at(m[1])
		if strings.HasPrefix(m[1], "file:") || strings.HasPrefix(m[1], "/") {
			return found(reconcile.GateEvaluate, "give it a URL that every node can reach, and lock again", "input %s is %s, a repository on the machine that locked it", name, m[1])
		}
		hint := "nix.ssh_key_file, or nix.ssh_config_file for several keys, and nix.known_hosts_file of the settings give access, or root's own key and /etc/ssh/ssh_known_hosts"
		if strings.HasPrefix(m[1], "http") {
			hint = "a private one needs nix.netrc_file in the settings"
		}
		return found("", hint, "input %s cannot be reached: %s", name, m[1])
	}
	if place, why, is := undownloaded(said); is {
		input, known := inputs.at(place)
		switch {
		case refused.MatchString(why):
			return found(reconcile.GateEvaluate, "a private one needs nix.access_tokens_file or nix.netrc_file in the settings, or the same in this node's nix.conf; for one that is gone, lock another revision",
				"input %s cannot be downloaded: %s: %s", input, place, why)
		case known:
			return found("", "it is tried again; this node must reach that host, directly or by a proxy", "input %s cannot be downloaded: %s: %s", input, place, why)
		}
	}
	return diagnosis{}, false
}

// undownloaded returns what Nix could not download in the end, and why.
func undownloaded(said string) (place, why string, found bool) {
	for line := range strings.Lines(said) {
		_, rest, failed := strings.Cut(line, "unable to download '")
		if !failed || strings.Contains(rest, "; retrying in ") {
			continue
		}
		if at, reason, cut := strings.Cut(strings.TrimSpace(rest), "': "); cut {
			if strings.Contains(line, "(Source threw exception: ") {
				reason = strings.TrimSuffix(reason, ")")
			}
			place, why, found = at, reason, true
		}
	}
	return place, why, found
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// readsEncrypted reports whether Nix could not read a file as text that git-crypt has
// locked; its text does not show what is in the file.
func (n *Nix) readsEncrypted(tree, said string) bool {
	m := noText.FindStringSubmatch(said)
	if m == nil {
		return false
	}
	locked, err := Encrypted(tree)
	return err == nil && slices.ContainsFunc(locked, func(file string) bool { return strings.HasSuffix(m[1], "/"+file) })
}

const lockAgain = `run "nix flake lock" and commit flake.lock`

// lacksAttribute recognizes what Nix says of an attribute path of a flake, and of a file,
// that leads nowhere.
func lacksAttribute(said string) bool {
	return strings.Contains(said, "does not provide attribute") || strings.Contains(said, "in selection path")
}

// locked are the inputs that flake.lock pins.
type locked struct {
	root      []string          // names of the flake's own inputs
	originals map[string]any    // what the flake's own inputs were locked for, as references in attributes
	urls      map[string]string // where each node of the lock comes from
	projects  map[string]string // OWNER/REPOSITORY of those that come from a forge
}

// lockedInputs reads flake.lock; what cannot be read is empty.
func lockedInputs(dir string) locked {
	var lock struct {
		Nodes map[string]struct {
			Inputs   map[string]any                          `json:"inputs"` // a node's name, or a path of inputs that it follows
			Locked   struct{ URL, Path, Owner, Repo string } `json:"locked"`
			Original any                                     `json:"original"`
		} `json:"nodes"`
		Root string `json:"root"`
	}
	all := locked{urls: map[string]string{}, projects: map[string]string{}, originals: map[string]any{}}
	data, err := os.ReadFile(filepath.Join(dir, "flake.lock"))
	if err != nil || json.Unmarshal(data, &lock) != nil {
		return all
	}
	all.root = slices.Sorted(maps.Keys(lock.Nodes[lock.Root].Inputs))
	for name, input := range lock.Nodes[lock.Root].Inputs {
		if node, named := input.(string); named {
			all.originals[name] = lock.Nodes[node].Original
		}
	}
	for name, n := range lock.Nodes {
		all.urls[name] = n.Locked.URL + n.Locked.Path
		if n.Locked.Owner != "" && n.Locked.Repo != "" {
			all.projects[name] = n.Locked.Owner + "/" + n.Locked.Repo
		}
	}
	return all
}

// at returns the name of the input that comes from a place.
func (l locked) at(place string) (name string, found bool) {
	for _, name := range slices.Sorted(maps.Keys(l.urls)) {
		if place != "" && l.urls[name] == place {
			return name, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.projects)) { // GitLab's API wants the slash escaped
		if path, err := url.PathUnescape(place); err == nil && strings.Contains(path+"/", "/"+l.projects[name]+"/") {
			return name, true
		}
	}
	return "of the flake", false
}

// unlocked names the inputs that flake.nix and flake.lock do not agree on; "" when
// there is none, or flake.nix cannot be read.
func (n *Nix) unlocked(ctx context.Context, dir string, l locked) string {
	var wanted []string
	if !n.inputs(ctx, dir, "builtins.attrNames", &wanted) {
		return ""
	}
	var said []string
	for _, name := range wanted {
		if !slices.Contains(l.root, name) {
			said = append(said, "it lacks input "+name)
		}
	}
	for _, name := range l.root {
		if !slices.Contains(wanted, name) {
			said = append(said, "it has input "+name+", which flake.nix does not")
		}
	}
	if len(said) > 0 {
		return strings.Join(said, ", ")
	}
	var references map[string]any
	if !n.inputs(ctx, dir, "builtins.mapAttrs (_: i: if i ? url then builtins.parseFlakeRef i.url else null)", &references) {
		return "" // a Nix before 2.20 cannot take them apart
	}
	for _, name := range slices.Sorted(maps.Keys(references)) {
		if was, is := l.originals[name]; is && references[name] != nil && !reflect.DeepEqual(references[name], was) {
			said = append(said, "input "+name+" has another URL in flake.nix")
		}
	}
	return strings.Join(said, ", ")
}

// inputs applies a function to the inputs as they stand in flake.nix.
func (n *Nix) inputs(ctx context.Context, dir, apply string, into any) bool {
	args := append([]string{"nix"}, flags...)
	out, err := n.evaluate(ctx, append(args, "eval", "--json", "--file", filepath.Join(dir, "flake.nix"), "inputs", "--apply", apply))
	return err == nil && json.Unmarshal(out, into) == nil
}
