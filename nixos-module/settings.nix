# Made from the tags in agent/config by "go test ./nixos-module -update": change them there.
{ lib, toml }:
with import ./types.nix { inherit lib toml; };
open {
  node = option string "" "web1" "Name of this node in the registry; empty: found by hostname.";
  mode = option (word [ "deploy" "observe" ]) "deploy" "observe" "observe: nothing is activated, beside another tool that deploys; what would have become of each commit is told.";
  state_dir = option string "/var/lib/infra-agent" "/persist/infra-agent" "What must survive a reboot.";
  run_dir = option string "/run/infra-agent" "/run/fleet" "The control socket.";
  rollback = option (word [ "auto" "hold" "never" ]) "auto" "hold" "What happens when a trial is not healthy; nodes and roles may override it.";
  last_resort = option (word [ "reboot" "stuck" ]) "reboot" "stuck" "What happens when the old system cannot be brought back.";
  source = {
    remotes = option (lists {
      name = option string "origin" "forge" "Name of the remote in status, log and metrics.";
      url = required string "https://git.example.org/fleet.git" "https://…, http://…, ssh://git@…, git@host:path, git://…, file:///… or an absolute path; never with a password.";
      username = option string "git" "fleet-bot" "User name that goes with the token, or of ssh where the url names none.";
      token_file = option string "" "/run/credentials/infra-agent.service/forge" "File with the access token; empty: no authentication.";
      ssh_key_file = option string "" "/run/credentials/infra-agent.service/deploy-key" "File with the private key for ssh, without a passphrase.";
      known_hosts_file = option string "" "/etc/ssh/ssh_known_hosts" "File with the host keys that an ssh remote may show.";
      ca_file = option string "" "/etc/ssl/certs/forge.pem" "PEM file with the certificate authorities to trust; empty: the system's.";
      timeout = option duration "1m" "20s" "Limit of one poll, and of the remote's silence in a fetch, 1s to 1h.";
    }) [ ] [ { url = "https://git.example.org/fleet.git"; } ] "Where the repository is served, in order of preference.";
    branch = option string "main" "release-{name}" "Branch to follow; {name} stands for the node's name.";
    testing_branch = option string "" "testing-{name}" "Branch whose commits are tried until confirm.deadline and never kept; {name} as above; empty: none.";
    subdir = option string "" "nix/fleet" "Directory of the flake in the repository.";
    interval = option duration "1m" "30s" "Between two polls, 5s to 24h.";
    expose_revision = option bool true false "Hand the commit to Nix as self.rev; false where configurationRevision must not make every commit a new system.";
    encrypted = option (word [ "warn" "refuse" ]) "warn" "refuse" "What becomes of a commit with files that git-crypt, git-annex or another filter would have to make readable.";
    submodules = option (word [ "empty" "refuse" "fetch" true false ]) "empty" "fetch" "What becomes of submodules: empty, or false: empty directories, as for Nix, with a warning; refuse: the commit is held; fetch, or true: they are fetched.";
    lfs = option bool false true "Pointers of Git LFS are replaced by the files that they stand for; false: Nix gets the pointers, with a warning.";
    hosts = option (lists {
      host = required string "modules.example.org" "Server of submodules or of Git LFS that is not a remote's: its name, or name:port.";
      username = option string "git" "fleet-bot" "User name that goes with the token, or of ssh where the url names none.";
      token_file = option string "" "/run/credentials/infra-agent.service/modules" "File with the access token, for https; empty: no authentication.";
      ssh_key_file = option string "" "/run/credentials/infra-agent.service/modules-key" "File with the private key for ssh, without a passphrase.";
      known_hosts_file = option string "" "/etc/ssh/ssh_known_hosts" "File with the host keys that the host may show over ssh.";
      ca_file = option string "" "/etc/ssl/certs/modules.pem" "PEM file with the certificate authorities to trust; empty: the system's.";
    }) [ ] [ { host = "modules.example.org"; token_file = "/run/secrets/modules"; } ] "Credentials for what a commit has from other hosts than the remotes'.";
  };
  trust = {
    policy = option (word [ "none" "tip" "all" ]) "none" "all" "Which commits must be signed: none, the newest, or every one since the last accepted.";
    allowed_signers_file = option string "" "/etc/infra-agent/allowed_signers" "OpenSSH allowed signers; empty: no SSH signature is accepted.";
    openpgp_keyring_file = option string "" "/etc/infra-agent/keyring.asc" "OpenPGP public keys; empty: no OpenPGP signature is accepted.";
    revocation_file = option string "" "/etc/infra-agent/revoked" "SSH public keys that are not accepted any more, one a line; empty: none.";
    authorizations = option string "" "keys/allowed_signers" "OpenSSH allowed signers in the repository, instead of the node's: each commit is verified by what its parents have there.";
    manifest_signers_file = option string "" "/etc/infra-agent/manifest_signers" "OpenSSH allowed signers of manifests, for the namespace infra-agent-manifest; empty: whom trust.authorizations allows that by name, or nobody.";
    introduction = option string "" "2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234" "The commit with which trust.authorizations begins: it is accepted, and what descends from it is verified.";
  };
  registry = {
    source = option (word [ "auto" "toml" "nix" "map" "none" ]) "auto" "toml" "auto: the file if there is one, else the attribute; map: a file of another format; none: a node is its output.";
    file = option string "infrastructure.toml" "nodes.toml" "The registry, relative to the flake.";
    attr = option string "infraAgent.registry" "fleet.registry" "The registry as an attribute of the flake.";
    map = {
      nodes = option string "" "hosts" "map: key of the table, or list, of nodes; dots lead into tables.";
      roles = option string "" "profiles" "map: key of a node's roles; empty: no roles.";
      system = option string "" "deployment.architecture" "map: key of a node's system; empty: not known.";
      hostname = option string "" "name" "map: key of a node's host name; empty: the node's name.";
      managed_when = option string "" "!appliance" "map: key, !key, key=value or key!=value of managed nodes; empty: all.";
    };
  };
  nix = {
    configuration = option string "" "web" "Output of nixosConfigurations; empty: by the node's identity.";
    file = option string "" "default.nix" "Nix file that gives the systems, relative to source.subdir, as of nixos-rebuild --file; empty: the repository is a flake.";
    attr = option string "" "nodes" "Attribute of nix.file that has the systems by name; empty: what the file evaluates to.";
    impure = option bool false true "Evaluations may look at the node: its files, environment and time.";
    override_inputs = option table { } { secrets = "path:/etc/fleet-secrets"; } "Flake references by the name of the input that they stand for.";
    extra_args = option list [ ] [ "--show-trace" "--option" "cores" "2" ] "More arguments for every evaluation and the build, such as --show-trace, or --option with a setting of Nix and its value.";
    netrc_file = option string "" "/run/credentials/infra-agent.service/netrc" "Names and passwords by host, as of netrc(5): for inputs over https, by git too, and for binary caches.";
    access_tokens_file = option string "" "/run/credentials/infra-agent.service/access-tokens" "Lines of nix.conf(5) with access-tokens = HOST=TOKEN …, for inputs such as github:owner/repository.";
    ssh_key_file = option string "" "/run/credentials/infra-agent.service/inputs-key" "File with the private key for inputs over ssh, without a passphrase; empty: root's own.";
    known_hosts_file = option string "" "/etc/ssh/ssh_known_hosts" "File with the host keys that inputs over ssh may show; empty: those of ssh.";
    ssh_config_file = option string "" "/etc/infra-agent/ssh_config" "File of ssh_config(5) for inputs over ssh, with a key for each host or repository; empty: that of ssh.";
  };
  manifest = {
    mode = option (word [ "off" "prefer" "only" ]) "off" "prefer" "Whether a manifest names the system of a commit: off, this node evaluates; prefer, it evaluates where none has come within manifest.wait; only, it never evaluates.";
    wait = option duration "10m" "30m" "prefer: how long a manifest, and what it names, may take, 0s to 24h.";
    audit = option string "0%" "5%" "prefer: of this share of commits the node evaluates all the same, and holds one of which its manifest says something else.";
    sources = option list [ ] [ "https://ci.example.org/manifests/{commit}/{node}.json" ] "Where manifests are, in order; empty: branch:manifests. It is branch:NAME, in the remotes, with COMMIT/NODE.json; or a URL, in which {commit}, {node} and {system} stand for this node's: the signature's name has .sig after it; or store:URL, which names a store path with manifests in it, signed with the binary cache's key; or pin:URL, or pin:URL#NAME, which names a system, and no commit.";
  };
  limits = {
    fetch = option duration "15m" "30m" "Limit of a fetch, verification included, 10s to 24h.";
    evaluate = option duration "10m" "30m" "Limit of an evaluation, 30s to 24h.";
    build = option duration "2h" "12h" "Limit of a build, 1m to 168h.";
    activate = option duration "10m" "20m" "Limit of an activation, 1s to 24h.";
    promote = option duration "5m" "10m" "Limit of making a system permanent, 1s to 24h.";
    rollback = option duration "10m" "20m" "Limit of activating the old system, 1s to 24h.";
    verify_rollback = option duration "3m" "5m" "How long the old system may take to be healthy again, 1s to 24h.";
    evaluate_memory = option size "8GiB" "16GiB" "Most memory of an evaluation; no less than 64MiB.";
    tree_bytes = option size "1GiB" "4GiB" "Most bytes in the files of a revision, of which a single one has at most 100MiB; no less than 1MiB.";
    tree_entries = option integer 200000 1000000 "Most files and directories in a revision; no less than 100.";
    fetch_bytes = option size "256MiB" "1GiB" "Most bytes in one answer of a remote; of old commits, whose files are skipped, 8 times as many; no less than 1MiB.";
  };
  confirm = {
    settle = option duration "10s" "30s" "Between activation and the first judgement, 0s to 24h.";
    window = option duration "1m" "5m" "How long everything must be well before a system is confirmed, 0s to 24h.";
    deadline = option duration "10m" "30m" "When an unconfirmed system is rolled back; more than settle + window, 1s to 24h.";
    deadline_max = option duration "1h" "4h" "Up to which an operator may extend the deadline, 1s to 168h.";
    targets = option list [ ] [ "192.0.2.1:443" "https://cache.nixos.org" ] "host:port or URLs that prove connectivity; empty: remotes, binary caches, resolvers, gateway.";
    ignore_units = option list [ ] [ "fwupd*.service" ] "Globs of units whose failure does not count.";
  };
  checks = option (tables {
    kind = required (word [ "unit" "tcp" "http" "dns" "exec" "mount" "file" ]) "http" "What the check looks at.";
    required = option bool true false "false: only reported.";
    within = option duration "2m" "30s" "Grace after an activation before red counts.";
    interval = option duration "5s" "1s" "Between two runs.";
    timeout = option duration "5s" "20s" "Limit of one run.";
    successes = option integer 2 3 "Successes in a row that make the check green.";
    unit = optional string "nginx.service" "unit: full name of a systemd unit that must be active.";
    target = optional string "localhost:5432" "tcp: host:port; http: URL; dns: name to resolve.";
    status = optional status 204 "http: wanted status; none: any 2xx.";
    contains = optional string "ok" "http, file: text that must be in it.";
    command = optional list [ "/run/current-system/sw/bin/pg_isready" "-q" ] "exec: absolute path of a program, and its arguments; must exit 0.";
    server = optional string "127.0.0.1:53" "dns: host:port to ask; none: the system's resolvers.";
    answer = optional string "192.0.2.7" "dns: IP address that must be among the answers; none: any answer.";
    path = optional string "/srv/media" "mount: directory on which something must be mounted; file: file that must be there.";
    max_age = optional duration "26h" "file: longest time since it was changed; none: any.";
  }) { } { web = { kind = "http"; target = "http://localhost/health"; }; } "Health checks of this node, by name, beside those of the registry.";
  metrics = {
    listen = option string "127.0.0.1:10119" "/run/infra-agent/metrics.sock" "host:port, absolute path of a unix socket, or empty for none.";
    socket = option string "" "/run/infra-agent/metrics.sock" "Absolute path of a unix socket beside metrics.listen; empty: none.";
    socket_group = option maybeGroup "" "prometheus" "Group that may connect to the unix socket; empty: root alone.";
    textfile = option string "" "/var/lib/node_exporter/infra-agent.prom" "File for node_exporter's textfile collector, written every 15 s, whose name ends with .prom; empty: none.";
  };
  notify = {
    held_after = option duration "6h" "30m" "How long the node may be held, but for maintenance windows and in observe mode, until that is told; 0s: it never is, 0s to 720h.";
    events = option list [ ] [ "rolled_back" "stuck" ] "What is told; empty: promoted, rolled_back, rollback_failed, waiting, stuck, held and drift.";
    command = option list [ ] [ "/run/current-system/sw/bin/tell-the-fleet" "--json" ] "Program and arguments that get each message as JSON on standard input; empty: none.";
    command_secret_file = option string "" "/run/credentials/infra-agent.service/pager" "File that the command finds as $CREDENTIALS_DIRECTORY/secret; empty: none.";
    webhooks = option (lists {
      name = option string "webhook" "chat" "Name of the receiver in status, log and metrics.";
      url = required string "https://chat.example.org/hooks/{secret}" "http or https; {secret} stands for what is in secret_file.";
      secret_file = option string "" "/run/credentials/infra-agent.service/chat" "File with the secret part of url or headers, one word; read for each message.";
      headers = option list [ ] [ "Authorization: Bearer {secret}" ] "More headers of the request, as \"Name: value\".";
      template = option string "" "{\"text\": \"{text}\"}" "Body with values such as {text}, {node} and {event} in it; empty: the message as JSON.";
      events = option list [ ] [ "promoted" ] "What this receiver is told; empty: notify.events.";
      ca_file = option string "" "/etc/ssl/certs/chat.pem" "PEM file with the certificate authorities to trust; empty: the system's.";
      timeout = option duration "10s" "30s" "Limit of one try, 1s to 1m.";
    }) [ ] [ { name = "chat"; url = "https://chat.example.org/hooks/{secret}"; secret_file = "/run/secrets/chat"; } ] "Addresses that are told by POST.";
  };
  log = {
    level = option (word [ "debug" "info" "warn" "error" ]) "info" "debug" "Least severe message to log.";
    format = option (word [ "auto" "text" "json" ]) "auto" "json" "auto: into the journal with fields, and text elsewhere; text and json: lines, also into the journal.";
  };
  control = {
    group = option group "infra-agent" "wheel" "Group that may read the status.";
  };
}
