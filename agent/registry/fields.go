package registry

// A Field describes one field of a registry.
type Field struct {
	Path string // nodes.NAME.vmid; NAME stands for a name that the user chooses
	Type string // string, path, integer, bool, list, table, command, or the words allowed
	Doc  string // one line
}

// Fields lists every field of a registry but those of checks, in the order of the
// documentation.
func Fields() []Field {
	return []Field{
		{"schema", "integer", "Version of this format: 1."},
		{"min_reader", "integer", "Oldest schema whose agents may read the file, leaving out what they do not know; none: that of the file."},
		{"fleet.name", "string", "Name of the fleet, for people."},
		{"fleet.domain", "string", "Domain of the nodes; {domain} in checks."},
		{"fleet.branch", "string", "Branch that every node follows; the agent refuses to follow another. {name} stands for the node's name."},
		{"fleet.subdir", "path", "Directory of the flake; the agent refuses to use another."},
		{"fleet.naming", "off, info, warn, error", "Highest severity of the rules about names (N)."},
		{"fleet.vmid", "off, info, warn, error", "Highest severity of the rules about VM ids (V)."},
		{"fleet.prefixes", "list", "Prefixes of node names that this fleet uses beside those of the convention."},
		{"fleet.aliases", "table", "Prefixes that mean the same as another: hass = \"ha\"."},
		{"fleet.window", "list", "Maintenance windows of every node that has none of its own."},
		{"waves.order", "list", "Names of the waves, the first first."},
		{"roles.NAME.description", "string", "What the role does, for people."},
		{"roles.NAME.implied", "bool", "Every managed node has the role."},
		{"roles.NAME.implies", "list", "Roles that a node with this one has too; they are weaker."},
		{"roles.NAME.conflicts", "list", "Roles that no node may have beside this one: it is refused before anything is built."},
		{"roles.NAME.checks", "table", "Health checks of the role's nodes, by name; false removes one that a weaker role gave."},
		{"roles.NAME.secrets", "list", "Files that must be there before a system is activated: a path, or path, owner, group and mode. Not those that the system itself makes."},
		{"roles.NAME.secrets[].path", "path", "Absolute path of the file. It is never read."},
		{"roles.NAME.secrets[].owner", "string", "User that must own it; none: any."},
		{"roles.NAME.secrets[].group", "string", "Group that must own it; none: any."},
		{"roles.NAME.secrets[].mode", "string", "Mode that it must have, such as 0440; none: any that keeps others out."},
		{"roles.NAME.drain", "command", "Absolute path of a program, and its arguments: run by root before an activation, for at most 5 minutes. If it fails, nothing is activated."},
		{"roles.NAME.undrain", "command", "Run by root once a system runs after the drain, before it is judged. Tried again until it works."},
		{"roles.NAME.max_unavailable", "integer", "How many of the role's nodes may be away at once. No effect yet."},
		{"roles.NAME.wave", "string", "Wave of the role's nodes. A label of the metrics; no effect yet."},
		{"roles.NAME.rollback", "auto, hold, never", "What happens when a trial is not healthy."},
		{"roles.NAME.reboot", "never, window, auto", "Whether the agent may reboot. No effect yet: it never does."},
		{"nodes.NAME.hostname", "string", "Host name, where it is not the node's name."},
		{"nodes.NAME.aliases", "list", "Other host names."},
		{"nodes.NAME.configuration", "string", "Output of nixosConfigurations, where it is not the node's name."},
		{"nodes.NAME.kind", "vm, metal, cloud, template, appliance", "What the node is. Nothing is deployed to a template."},
		{"nodes.NAME.managed", "bool", "false: nothing is deployed."},
		{"nodes.NAME.system", "string", "x86_64-linux, aarch64-linux …; a machine of another kind is refused."},
		{"nodes.NAME.roles", "list", "Roles; a later one is stronger."},
		{"nodes.NAME.tags", "list", "For people and other tools."},
		{"nodes.NAME.proxied", "bool", "A reverse proxy stands before the node."},
		{"nodes.NAME.proxy.port", "integer", "Port that the proxy talks to."},
		{"nodes.NAME.proxy.subdomains", "list", "Names under which the proxy serves the node."},
		{"nodes.NAME.proxy.protocol", "string", "http, https, tcp …"},
		{"nodes.NAME.proxy.websockets", "bool", "The proxy passes web sockets."},
		{"nodes.NAME.proxy.ssl", "bool", "The proxy talks TLS to the node."},
		{"nodes.NAME.address", "string", "IP address or host name; {address} in checks. A word such as unknown or tbd is none."},
		{"nodes.NAME.user", "string", "User for ssh, for people and other tools."},
		{"nodes.NAME.vmid", "integer", "Id in Proxmox."},
		{"nodes.NAME.vmid_reason", "string", "Why the id is outside of the convention."},
		{"nodes.NAME.ephemeral", "bool", "The node comes and goes."},
		{"nodes.NAME.environment", "string", "production, staging …; a label of the metrics."},
		{"nodes.NAME.wave", "string", "Wave of the node. A label of the metrics; no effect yet."},
		{"nodes.NAME.depends_on", "list", "Nodes that must be there first. No effect yet."},
		{"nodes.NAME.window", "list", "Maintenance windows such as Mon..Fri 22:00-02:00 Europe/Berlin: systems are activated only in one of them. Several add up; an end before the start is on the next day; [] is always."},
		{"nodes.NAME.branch", "string", "Branch that the node follows; the agent refuses to follow another. {name} stands for the node's name."},
		{"nodes.NAME.pin", "string", "Commit, 7 to 40 digits: the node stays where it is, and is in sync if it runs this one."},
		{"nodes.NAME.hold", "bool", "true: nothing is deployed."},
		{"nodes.NAME.reason", "string", "Why it is held or pinned: shown in its status."},
		{"nodes.NAME.retire", "bool", "true: the node's next system may be one without infra-agent."},
		{"nodes.NAME.reboot", "never, window, auto", "Whether the agent may reboot. No effect yet: it never does."},
		{"nodes.NAME.rollback", "auto, hold, never", "What happens when a trial is not healthy."},
		{"nodes.NAME.checks", "table", "Health checks of the node, by name; false removes one of a role."},
		{"nodes.NAME.naming.exempt", "bool", "The node may have a name outside of the convention."},
		{"nodes.NAME.naming.reason", "string", "Why; an exemption needs a reason."},
		{"nodes.NAME.meta", "table", "Whatever else the fleet wants to keep here."},
	}
}
