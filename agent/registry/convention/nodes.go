package convention

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

func nodeRules() []*Rule {
	return []*Rule{
		{
			ID: "R004", Severity: Error, Always: true, Scope: "proxy, proxied", node: r004,
			Text: "A proxy has a port. `proxied = true` alone is enough where a check of the node or of its roles names one on `{address}`.",
		},
		{
			ID: "R005", Severity: Error, Always: true, Scope: "managed", node: r005,
			Text: "A node with `managed = false` has no roles: no agent runs there, or it stops with `unmanaged`.",
		},
		{
			ID: "R006", Severity: Error, Always: true, Scope: "system", node: r006,
			Text: "`system` is a CPU (`x86_64`, `aarch64`, `i686`, `armv7l`, `riscv64`) and `-linux` or `-darwin`.",
		},
		{
			ID: "R007", Severity: Error, Always: true, Scope: "configuration", node: r007,
			Text: "A managed node has its output in `nixosConfigurations`. Needs the outputs: `registry check --outputs FILE`.",
		},
		{
			ID: "R008", Severity: Info, Scope: "flake", fleet: r008,
			Text: "An output without a node is told, and left alone. Needs the outputs.",
		},
		{
			ID: "R009", Severity: Error, Always: true, Scope: "wave, depends_on", fleet: r009,
			Text: "Waves that nodes and roles name are in `order` of `[waves]`, each once; `depends_on` names nodes, and never goes in a circle.",
		},
		{
			ID: "R014", Severity: Warn, Scope: "configuration", fleet: r014,
			Text: "No two managed nodes share an output. Machines that are all alike may, but `fromRegistry` makes one of each node, and throws.",
		},
	}
}

func r004(r *review, n *node) {
	if n.Proxy != nil && n.Proxied != nil && !*n.Proxied {
		r.say(n.key("proxied"), n, "remove it, or the table proxy", "proxied = false, and a table proxy")
	}
	switch {
	case n.Proxy != nil && n.Proxy.Port != 0:
		if n.Proxy.Port < 1 || n.Proxy.Port > 65535 {
			r.say(n.key("proxy").Child("port"), n, "choose one from 1 to 65535", "there is no port %d", n.Proxy.Port)
		}
	case !n.IsProxied() || r.givesPort(n):
	case n.Proxy != nil:
		r.say(n.key("proxy"), n, "write port = 8080 into it", "the proxy has no port")
	default:
		r.say(n.key("proxied"), n, "write proxy = { port = 8080 } instead", "proxied, and neither a proxy table nor a role's check says on which port")
	}
}

// givesPort reports whether a check of the node, or of its roles, is on a port of its
// address.
func (r *review) givesPort(n *node) bool {
	given := func(checks map[string]*reconcile.Check) bool {
		for _, c := range checks {
			if c == nil || !strings.Contains(c.Target, "{address}") {
				continue
			}
			if c.Kind == reconcile.CheckTCP {
				return true
			}
			u, err := url.Parse(strings.ReplaceAll(c.Target, "{address}", "a"))
			if err == nil && c.Kind == reconcile.CheckHTTP && u.Host != "" {
				return true
			}
		}
		return false
	}
	return given(n.Checks) || slices.ContainsFunc(n.roles, func(role string) bool { return given(r.File.Roles[role].Checks) })
}

func r005(r *review, n *node) {
	if !n.IsManaged() && len(n.Roles) > 0 {
		r.say(n.key("roles"), n, "remove the roles, or managed = false", "managed = false, and roles, which nothing would deploy")
	}
}

var system = regexp.MustCompile(`^(x86_64|aarch64|i686|armv7l|riscv64)-(linux|darwin)$`)

func r006(r *review, n *node) {
	if n.System != "" && !system.MatchString(n.System) {
		r.say(n.key("system"), n, "write it like x86_64-linux", "%q is not a system of Nix", n.System)
	}
}

func r007(r *review, n *node) {
	if r.Outputs == nil || !n.IsManaged() || n.isTemplate() {
		return
	}
	want, at := n.output(), n.at
	if n.Configuration != "" {
		at = n.key("configuration")
	}
	if slices.Contains(r.Outputs, want) {
		return
	}
	fix := "add the output, or managed = false"
	if slices.Contains(r.Outputs, n.Hostname) {
		fix = fmt.Sprintf("write configuration = %q", n.Hostname)
	} else if near := strict.Nearest(want, r.Outputs); near != "" {
		fix = fmt.Sprintf("did you mean configuration = %q?", near)
	}
	r.say(at, n, fix, "the flake has no nixosConfigurations.%q", want)
}

// output is the name of the node's nixosConfigurations output.
func (n *node) output() string {
	if n.Configuration != "" {
		return n.Configuration
	}
	return n.name
}

func r008(r *review) {
	used := map[string]bool{}
	for _, n := range r.nodes {
		used[n.output()] = true
	}
	for _, output := range slices.Sorted(slices.Values(r.Outputs)) {
		if !used[output] {
			r.say("", nil, "no agent deploys it; add a node if one should", "the output %q has no node", output)
		}
	}
}

func r014(r *review) {
	first := map[string]*node{}
	for _, n := range r.nodes {
		if !n.IsManaged() {
			continue
		}
		other, shared := first[n.output()]
		if !shared {
			first[n.output()] = n
			continue
		}
		at := n.at
		if n.Configuration != "" {
			at = n.key("configuration")
		}
		r.say(at, n, "give each its own, or none: then it is the node's name", "nixosConfigurations.%q is the output of node %s too", n.output(), other.name)
	}
}

func r009(r *review) {
	validate := func(at strict.Path, n *node, wave string) {
		if wave == "" || slices.Contains(r.File.Waves.Order, wave) {
			return
		}
		fix := "add it to order of [waves]"
		if near := strict.Nearest(wave, r.File.Waves.Order); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		r.say(at.Child("wave"), n, fix, "there is no wave %q", wave)
	}
	for i, wave := range r.File.Waves.Order {
		at := strict.Path("waves.order").Elem(i)
		switch {
		case wave == "":
			r.say(at, nil, "remove it, or name it", "a wave has no name")
		case slices.Contains(r.File.Waves.Order[:i], wave):
			r.say(at, nil, "remove one of them", "the wave %q is there twice", wave)
		}
	}
	for name, role := range r.File.Roles {
		validate(strict.Path("roles").Child(name), nil, role.Wave)
	}
	names := slices.Sorted(maps.Keys(r.File.Nodes))
	for _, n := range r.nodes {
		validate(n.at, n, n.Wave)
		for i, other := range n.DependsOn {
			if _, ok := r.File.Nodes[other]; ok {
				continue
			}
			fix := "name a node of the registry"
			if near := strict.Nearest(other, names); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			r.say(n.key("depends_on").Elem(i), n, fix, "there is no node %q", other)
		}
	}
	for _, circle := range circles(r.nodes) {
		first := circle[0]
		r.say(first.key("depends_on"), first, "remove one of these dependencies", "it goes in a circle: %s", inOrder(append(circle, first)))
	}
}

func inOrder(nodes []*node) string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
	}
	return strings.Join(names, " → ")
}

// circles follows depends_on from each node in turn, and returns each circle that it
// closes once.
func circles(nodes []*node) (found [][]*node) {
	byName := map[string]*node{}
	for _, n := range nodes {
		byName[n.name] = n
	}
	var path []*node
	done := map[*node]bool{}
	var visit func(n *node)
	visit = func(n *node) {
		if n == nil || done[n] {
			return
		}
		if i := slices.Index(path, n); i >= 0 {
			found = append(found, slices.Clone(path[i:]))
			return
		}
		path = append(path, n)
		for _, other := range n.DependsOn {
			visit(byName[other])
		}
		path = path[:len(path)-1]
		done[n] = true
	}
	for _, n := range nodes {
		visit(n)
	}
	return found
}
