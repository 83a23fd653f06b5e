package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A row is one thing to know about a node.
type row struct{ key, value string }

// rows are what there is to know about a node; what is not given is left out.
func (n seenNode) rows() []row {
	var rows []row
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, row{key, value})
		}
	}
	e := n.Entry
	for line := range strings.Lines(n.Refused) {
		add("refused", strings.TrimSpace(line))
	}
	add("managed", n.state())
	add("hostname", e.Hostname)
	add("aliases", strings.Join(e.Aliases, ", "))
	add("kind", e.Kind)
	add("system", e.System)
	add("address", e.Address)
	if e.VMID != nil {
		add("vmid", strconv.Itoa(*e.VMID))
	}
	add("vmid reason", e.VMIDReason)
	if e.Naming.Exempt {
		add("naming", "exempt: "+e.Naming.Reason)
	}
	if e.Ephemeral {
		add("ephemeral", "yes")
	}
	add("user", e.User)
	add("environment", e.Environment)
	add("tags", strings.Join(e.Tags, ", "))
	add("proxied", proxied(e))
	add("depends on", strings.Join(e.DependsOn, ", "))
	add("branch", e.Branch)
	if t := n.Target; t != nil {
		add("output", fmt.Sprintf("nixosConfigurations.%q", t.Configuration))
		add("roles", n.roles())
		add("wave", t.Wave)
		add("window", windows(t.Windows))
		add("hold", t.Hold)
		add("pin", strings.TrimSpace(t.Pin+" "+t.PinReason))
		if t.Retire {
			add("retire", "yes")
		}
		add("rollback", string(t.Rollback))
		for _, c := range t.Checks {
			add("check "+c.Name, asked(c))
		}
		for _, s := range t.Secrets {
			add("secret", secret(s))
		}
		for _, argv := range t.Drain {
			add("drain", strings.Join(argv, " "))
		}
		for _, argv := range t.Undrain {
			add("undrain", strings.Join(argv, " "))
		}
		for _, w := range t.Warnings {
			add("warning", w)
		}
	}
	add("meta", written(reflect.ValueOf(&e.Meta).Elem()))
	return rows
}

func (n seenNode) state() string {
	switch {
	case !n.Entry.IsManaged():
		return "no: the agent deploys nothing here"
	case n.Entry.Kind == "template":
		return "no: it is a template"
	}
	return ""
}

// roles are in the order in which they count, the weakest first. Those that the node
// did not ask for by itself are marked.
func (n seenNode) roles() string {
	var all []string
	for _, name := range n.Roles {
		if !slices.Contains(n.Entry.Roles, name) {
			name += " (implied)"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

func windows(all []reconcile.Window) string {
	var texts []string
	for _, w := range all {
		texts = append(texts, w.Text)
	}
	return strings.Join(texts, ", ")
}

func proxied(e registry.Node) string {
	p := e.Proxy
	switch {
	case !e.IsProxied():
		return ""
	case p == nil:
		return "yes"
	}
	text := fmt.Sprintf("port %d", p.Port)
	if len(p.Subdomains) > 0 {
		text += ", as " + strings.Join(p.Subdomains, ", ")
	}
	if p.Protocol != "" {
		text += ", by " + p.Protocol
	}
	if p.SSL {
		text += ", TLS"
	}
	if p.Websockets {
		text += ", web sockets"
	}
	return text
}

func secret(s reconcile.Secret) string {
	text := s.Path
	for _, of := range []row{{"owner", s.Owner}, {"group", s.Group}, {"mode", s.Mode}} {
		if of.value != "" {
			text += ", " + of.key + " " + of.value
		}
	}
	return text
}

// asked is what a check looks at.
func asked(c reconcile.Check) string {
	text := string(c.Kind)
	for _, part := range append([]string{c.Unit, c.Target, c.Server, c.Answer, c.Path}, c.Command...) {
		if part != "" {
			text += " " + part
		}
	}
	if c.Status != 0 {
		text += fmt.Sprintf(" %d", c.Status)
	}
	if c.Contains != "" {
		text += fmt.Sprintf(" with %q", c.Contains)
	}
	var standard reconcile.Check
	strict.SetDefaults(&standard)
	for _, d := range []struct {
		name          string
		got, standard time.Duration
	}{
		{"within", c.Within, standard.Within},
		{"interval", c.Interval, standard.Interval},
		{"timeout", c.Timeout, standard.Timeout},
		{"max_age", c.MaxAge, 0},
	} {
		if d.got != d.standard {
			text += fmt.Sprintf(", %s %s", d.name, d.got)
		}
	}
	if c.Successes != standard.Successes {
		text += fmt.Sprintf(", successes %d", c.Successes)
	}
	if !c.Required {
		text += " (not required)"
	}
	return text
}
