package config

// A Key describes one key of the settings file.
type Key struct {
	Name    string // source.remotes[].url; NAME stands for a name that the user chooses
	Type    string // string, path, duration, size, integer, bool, list, or the words allowed
	Default string // as written in the file; "" = none
	Doc     string // one line
}

// Keys lists every key of the settings file, in the order of the documentation.
func Keys() []Key {
	return append([]Key{
		{"node", "string", `""`, "Name of this node in the registry; empty: found by hostname."},
		{"state_dir", "path", `"/var/lib/infra-agent"`, "What must survive a reboot."},
		{"run_dir", "path", `"/run/infra-agent"`, "The control socket."},
		{"rollback", "auto, hold, never", `"auto"`, "What happens when a trial is not healthy; nodes and roles may override it."},
		{"last_resort", "reboot, stuck", `"reboot"`, "What happens when the old system cannot be brought back."},
		{"source.remotes[].name", "string", `"origin"`, "Name of the remote in status, log and metrics."},
		{"source.remotes[].url", "string", "", "https://…, http://…, ssh://git@…, git@host:path, git://…, file:///… or an absolute path; never with a password."},
		{"source.remotes[].username", "string", `"git"`, "User name that goes with the token, or of ssh where the url names none."},
		{"source.remotes[].token_file", "path", `""`, "File with the access token; empty: no authentication."},
		{"source.remotes[].ssh_key_file", "path", `""`, "File with the private key for ssh, without a passphrase."},
		{"source.remotes[].known_hosts_file", "path", `""`, "File with the host keys that an ssh remote may show."},
		{"source.remotes[].ca_file", "path", `""`, "PEM file with the certificate authorities to trust; empty: the system's."},
		{"source.remotes[].timeout", "duration", `"1m0s"`, "Limit of one poll, and of the remote's silence in a fetch, 1s to 1h."},
		{"source.branch", "string", `"main"`, "Branch to follow; {name} stands for the node's name."},
		{"source.testing_branch", "string", `""`, "Branch whose commits are tried until confirm.deadline and never kept; {name} as above; empty: none."},
		{"source.subdir", "path", `""`, "Directory of the flake in the repository."},
		{"source.interval", "duration", `"1m0s"`, "Between two polls, 5s to 24h."},
		{"source.expose_revision", "bool", `true`, "Hand the commit to Nix as self.rev; false where configurationRevision must not make every commit a new system."},
		{"source.encrypted", "warn, refuse", `"warn"`, "What becomes of a commit with files that git-crypt, git-annex or another filter would have to make readable."},
		{"source.submodules", "empty, refuse, fetch", `"empty"`, "What becomes of submodules: empty directories, as for Nix, with a warning; the commit is held; or they are fetched."},
		{"source.lfs", "bool", `false`, "Pointers of Git LFS are replaced by the files that they stand for; false: Nix gets the pointers, with a warning."},
		{"source.hosts[].host", "string", "", "Server of submodules or of Git LFS that is not a remote's: its name, or name:port."},
		{"source.hosts[].username", "string", `"git"`, "User name that goes with the token, or of ssh where the url names none."},
		{"source.hosts[].token_file", "path", `""`, "File with the access token, for https; empty: no authentication."},
		{"source.hosts[].ssh_key_file", "path", `""`, "File with the private key for ssh, without a passphrase."},
		{"source.hosts[].known_hosts_file", "path", `""`, "File with the host keys that the host may show over ssh."},
		{"source.hosts[].ca_file", "path", `""`, "PEM file with the certificate authorities to trust; empty: the system's."},
		{"trust.policy", "none, tip, all", `"none"`, "Which commits must be signed: none, the newest, or every one since the last accepted."},
		{"trust.allowed_signers_file", "path", `""`, "OpenSSH allowed signers; empty: no SSH signature is accepted."},
		{"trust.openpgp_keyring_file", "path", `""`, "OpenPGP public keys; empty: no OpenPGP signature is accepted."},
		{"trust.revocation_file", "path", `""`, "SSH public keys that are not accepted any more, one a line; empty: none."},
		{"registry.source", "auto, toml, nix, map, none", `"auto"`, "auto: the file if there is one, else the attribute; map: a file of another format; none: a node is its output."},
		{"registry.file", "path", `"infrastructure.toml"`, "The registry, relative to the flake."},
		{"registry.attr", "string", `"infraAgent.registry"`, "The registry as an attribute of the flake."},
		{"registry.map.nodes", "string", `""`, "map: key of the table, or list, of nodes; dots lead into tables."},
		{"registry.map.roles", "string", `""`, "map: key of a node's roles; empty: no roles."},
		{"registry.map.system", "string", `""`, "map: key of a node's system; empty: not known."},
		{"registry.map.hostname", "string", `""`, "map: key of a node's host name; empty: the node's name."},
		{"registry.map.managed_when", "string", `""`, "map: key, !key, key=value or key!=value of managed nodes; empty: all."},
		{"nix.configuration", "string", `""`, "Output of nixosConfigurations; empty: by the node's identity."},
		{"nix.file", "path", `""`, "Nix file that gives the systems, relative to source.subdir, as of nixos-rebuild --file; empty: the repository is a flake."},
		{"nix.attr", "string", `""`, "Attribute of nix.file that has the systems by name; empty: what the file evaluates to."},
		{"nix.impure", "bool", `false`, "Evaluations may look at the node: its files, environment and time."},
		{"nix.override_inputs", "table", `{}`, "Flake references by the name of the input that they stand for."},
		{"nix.extra_args", "list", `[]`, "More arguments for every evaluation and the build, such as --show-trace, or --option with a setting of Nix and its value."},
		{"limits.fetch", "duration", `"15m0s"`, "Limit of a fetch, verification included."},
		{"limits.evaluate", "duration", `"10m0s"`, "Limit of an evaluation."},
		{"limits.build", "duration", `"2h0m0s"`, "Limit of a build."},
		{"limits.activate", "duration", `"10m0s"`, "Limit of an activation."},
		{"limits.promote", "duration", `"5m0s"`, "Limit of making a system permanent."},
		{"limits.rollback", "duration", `"10m0s"`, "Limit of activating the old system."},
		{"limits.verify_rollback", "duration", `"3m0s"`, "How long the old system may take to be healthy again."},
		{"limits.evaluate_memory", "size", `"8GiB"`, "Most memory of an evaluation."},
		{"limits.tree_bytes", "size", `"1GiB"`, "Most bytes in the files of a revision; a single one has at most 100MiB."},
		{"limits.tree_entries", "integer", `200000`, "Most files and directories in a revision."},
		{"limits.fetch_bytes", "size", `"256MiB"`, "Most bytes in one answer of a remote; of old commits, whose files are skipped, 8 times as many."},
		{"confirm.settle", "duration", `"10s"`, "Between activation and the first judgement."},
		{"confirm.window", "duration", `"1m0s"`, "How long everything must be well before a system is confirmed."},
		{"confirm.deadline", "duration", `"10m0s"`, "When an unconfirmed system is rolled back; more than settle + window."},
		{"confirm.deadline_max", "duration", `"1h0m0s"`, "Up to which an operator may extend the deadline."},
		{"confirm.targets", "list", `[]`, "host:port or URLs that prove connectivity; empty: remotes, binary caches, resolvers, gateway."},
		{"confirm.ignore_units", "list", `[]`, "Globs of units whose failure does not count."},
	}, append(checkKeys("checks.NAME."), []Key{
		{"metrics.listen", "string", `"127.0.0.1:10119"`, "host:port, absolute path of a unix socket, or empty for none."},
		{"metrics.socket_group", "string", `""`, "Group that may connect to the unix socket; empty: root alone."},
		{"log.level", "debug, info, warn, error", `"info"`, "Least severe message to log."},
		{"log.format", "auto, text, json", `"auto"`, "auto: text for the journal and terminals."},
		{"control.group", "string", `"infra-agent"`, "Group that may read the status."},
	}...)...)
}

// checkKeys lists the keys of a check's table, which the registry has too.
func checkKeys(prefix string) []Key {
	keys := []Key{
		{"kind", "unit, tcp, http, dns, exec, mount, file", "", "What the check looks at."},
		{"required", "bool", `true`, "false: only reported."},
		{"within", "duration", `"2m0s"`, "Grace after an activation before red counts."},
		{"interval", "duration", `"5s"`, "Between two runs."},
		{"timeout", "duration", `"5s"`, "Limit of one run."},
		{"successes", "integer", "2", "Successes in a row that make the check green."},
		{"unit", "string", "", "unit: full name of a systemd unit that must be active."},
		{"target", "string", "", "tcp: host:port; http: URL; dns: name to resolve."},
		{"status", "integer", "", "http: wanted status; none: any 2xx."},
		{"contains", "string", "", "http, file: text that must be in it."},
		{"command", "list", "", "exec: absolute path of a program, and its arguments; must exit 0."},
		{"server", "string", "", "dns: host:port to ask; none: the system's resolvers."},
		{"answer", "string", "", "dns: IP address that must be among the answers; none: any answer."},
		{"path", "path", "", "mount: directory on which something must be mounted; file: file that must be there."},
		{"max_age", "duration", "", "file: longest time since it was changed; none: any."},
	}
	for i := range keys {
		keys[i].Name = prefix + keys[i].Name
	}
	return keys
}
