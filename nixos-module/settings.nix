# An option for each key of the agent's settings. agent/config owns the keys, their defaults and their descriptions; a test
# compares. What is no option here goes into the file as it is, for the agent to refuse with a hint.
{ lib, toml }:
let
  inherit (lib) mkOption types;

  option = type: default: example: description: mkOption { inherit type default example description; };
  required = type: example: description: mkOption { inherit type example description; };
  optional = type: option (types.nullOr type) null;

  bool = option types.bool;
  count = option types.ints.positive;
  str = option types.str; # paths too: Nix would copy a path into its store
  list = option (types.listOf types.str);
  word = words: option (types.enum words);
  described = description: pattern: types.strMatching pattern // { inherit description; };
  time = described "duration: numbers with the units h, m, s or ms, such as \"90s\" or \"1h30m\"" "([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+";
  duration = option time;
  size = option (described "size: a whole number with the unit B, KiB, MiB, GiB or TiB, such as \"256MiB\"" "0*[1-9][0-9]* *([KMGT]i)?B");
  group = option (described "name of a group" "[^: \t\n/]+");

  open = options: { freeformType = toml.type; inherit options; };

  remote = open {
    name = str "origin" "forge" "Name of the remote in status, log and metrics.";
    url = required types.str "https://git.example.org/fleet.git"
      "https://…, http://…, ssh://git@…, git@host:path, git://…, file:///… or an absolute path; never with a password.";
    username = str "git" "fleet-bot" "User name that goes with the token, or of ssh where the url names none.";
    token_file = str "" "/run/credentials/infra-agent.service/forge" "File with the access token; empty: no authentication.";
    ssh_key_file = str "" "/run/credentials/infra-agent.service/deploy-key" "File with the private key for ssh, without a passphrase.";
    known_hosts_file = str "" "/etc/ssh/ssh_known_hosts" "File with the host keys that an ssh remote may show.";
    ca_file = str "" "/etc/ssl/certs/forge.pem" "PEM file with the certificate authorities to trust; empty: the system's.";
    timeout = duration "1m" "20s" "Limit of one poll, and of the remote's silence in a fetch, 1s to 1h.";
  };

  host = open {
    host = required types.str "modules.example.org"
      "Server of submodules or of Git LFS that is not a remote's: its name, or name:port.";
    username = str "git" "fleet-bot" "User name that goes with the token, or of ssh where the url names none.";
    token_file = str "" "/run/credentials/infra-agent.service/modules"
      "File with the access token, for https; empty: no authentication.";
    ssh_key_file = str "" "/run/credentials/infra-agent.service/modules-key" "File with the private key for ssh, without a passphrase.";
    known_hosts_file = str "" "/etc/ssh/ssh_known_hosts" "File with the host keys that the host may show over ssh.";
    ca_file = str "" "/etc/ssl/certs/modules.pem" "PEM file with the certificate authorities to trust; empty: the system's.";
  };

  check = open {
    kind = required (types.enum [ "unit" "tcp" "http" "dns" "exec" "mount" "file" ]) "http" "What the check looks at.";
    required = bool true false "false: only reported.";
    within = duration "2m" "30s" "Grace after an activation before red counts.";
    interval = duration "5s" "1s" "Between two runs.";
    timeout = duration "5s" "20s" "Limit of one run.";
    successes = count 2 3 "Successes in a row that make the check green.";
    unit = optional types.str "nginx.service" "unit: full name of a systemd unit that must be active.";
    target = optional types.str "localhost:5432" "tcp: host:port; http: URL; dns: name to resolve.";
    status = optional (types.ints.between 100 599) 204 "http: wanted status; none: any 2xx.";
    contains = optional types.str "ok" "http, file: text that must be in it.";
    command = optional (types.listOf types.str) [ "/run/current-system/sw/bin/pg_isready" "-q" ]
      "exec: absolute path of a program, and its arguments; must exit 0.";
    server = optional types.str "127.0.0.1:53" "dns: host:port to ask; none: the system's resolvers.";
    answer = optional types.str "192.0.2.7" "dns: IP address that must be among the answers; none: any answer.";
    path = optional types.str "/srv/media" "mount: directory on which something must be mounted; file: file that must be there.";
    max_age = optional time "26h" "file: longest time since it was changed; none: any.";
  };
in
open {
  node = str "" "web1" "Name of this node in the registry; empty: found by hostname.";
  state_dir = str "/var/lib/infra-agent" "/persist/infra-agent" "What must survive a reboot.";
  run_dir = str "/run/infra-agent" "/run/fleet" "The control socket.";
  rollback = word [ "auto" "hold" "never" ] "auto" "hold"
    "What happens when a trial is not healthy; nodes and roles may override it.";
  last_resort = word [ "reboot" "stuck" ] "reboot" "stuck" "What happens when the old system cannot be brought back.";

  source = {
    remotes = option (types.listOf (types.submodule remote)) [ ] [ { url = "https://git.example.org/fleet.git"; } ]
      "Where the repository is served, in order of preference.";
    branch = str "main" "release-{name}" "Branch to follow; {name} stands for the node's name.";
    testing_branch = str "" "testing-{name}"
      "Branch whose commits are tried until confirm.deadline and never kept; {name} as above; empty: none.";
    subdir = str "" "nix/fleet" "Directory of the flake in the repository.";
    interval = duration "1m" "30s" "Between two polls, 5s to 24h.";
    expose_revision = bool true false
      "Hand the commit to Nix as self.rev; false where configurationRevision must not make every commit a new system.";
    submodules = word [ "empty" "refuse" "fetch" ] "empty" "fetch"
      "What becomes of submodules: empty directories, as for Nix, with a warning; the commit is held; or they are fetched.";
    lfs = bool false true
      "Pointers of Git LFS are replaced by the files that they stand for; false: Nix gets the pointers, with a warning.";
    hosts = option (types.listOf (types.submodule host)) [ ] [ { host = "modules.example.org"; token_file = "/run/secrets/modules"; } ]
      "Credentials for what a commit has from other hosts than the remotes'.";
    encrypted = word [ "warn" "refuse" ] "warn" "refuse"
      "What becomes of a commit with files that git-crypt, git-annex or another filter would have to make readable.";
  };

  trust = {
    policy = word [ "none" "tip" "all" ] "none" "all"
      "Which commits must be signed: none, the newest, or every one since the last accepted.";
    allowed_signers_file = str "" "/etc/infra-agent/allowed_signers"
      "OpenSSH allowed signers; empty: no SSH signature is accepted.";
    openpgp_keyring_file = str "" "/etc/infra-agent/keyring.asc"
      "OpenPGP public keys; empty: no OpenPGP signature is accepted.";
    revocation_file = str "" "/etc/infra-agent/revoked"
      "SSH public keys that are not accepted any more, one a line; empty: none.";
  };

  registry = {
    source = word [ "auto" "toml" "nix" "map" "none" ] "auto" "toml"
      "auto: the file if there is one, else the attribute; map: a file of another format; none: a node is its output.";
    file = str "infrastructure.toml" "nodes.toml" "The registry, relative to the flake.";
    attr = str "infraAgent.registry" "fleet.registry" "The registry as an attribute of the flake.";
    map = {
      nodes = str "" "hosts" "map: key of the table, or list, of nodes; dots lead into tables.";
      roles = str "" "profiles" "map: key of a node's roles; empty: no roles.";
      system = str "" "deployment.architecture" "map: key of a node's system; empty: not known.";
      hostname = str "" "name" "map: key of a node's host name; empty: the node's name.";
      managed_when = str "" "!appliance" "map: key, !key, key=value or key!=value of managed nodes; empty: all.";
    };
  };

  nix = {
    configuration = str "" "web" "Output of nixosConfigurations; empty: by the node's identity.";
    file = str "" "default.nix" "Nix file that gives the systems, relative to source.subdir, as of nixos-rebuild --file; empty: the repository is a flake.";
    attr = str "" "nodes" "Attribute of nix.file that has the systems by name; empty: what the file evaluates to.";
    impure = bool false true "Evaluations may look at the node: its files, environment and time.";
    override_inputs = option (types.attrsOf types.str) { } { secrets = "path:/etc/fleet-secrets"; }
      "Flake references by the name of the input that they stand for.";
    extra_args = list [ ] [ "--show-trace" "--option" "cores" "2" ]
      "More arguments for every evaluation and the build, such as --show-trace, or --option with a setting of Nix and its value.";
  };

  limits = {
    fetch = duration "15m" "30m" "Limit of a fetch, verification included.";
    evaluate = duration "10m" "30m" "Limit of an evaluation.";
    build = duration "2h" "12h" "Limit of a build.";
    activate = duration "10m" "20m" "Limit of an activation.";
    promote = duration "5m" "10m" "Limit of making a system permanent.";
    rollback = duration "10m" "20m" "Limit of activating the old system.";
    verify_rollback = duration "3m" "5m" "How long the old system may take to be healthy again.";
    evaluate_memory = size "8GiB" "16GiB" "Most memory of an evaluation.";
    tree_bytes = size "1GiB" "4GiB" "Most bytes in the files of a revision; a single one has at most 100MiB.";
    tree_entries = count 200000 1000000 "Most files and directories in a revision.";
    fetch_bytes = size "256MiB" "1GiB"
      "Most bytes in one answer of a remote; of old commits, whose files are skipped, 8 times as many.";
  };

  confirm = {
    settle = duration "10s" "30s" "Between activation and the first judgement.";
    window = duration "1m" "5m" "How long everything must be well before a system is confirmed.";
    deadline = duration "10m" "30m" "When an unconfirmed system is rolled back; more than settle + window.";
    deadline_max = duration "1h" "4h" "Up to which an operator may extend the deadline.";
    targets = list [ ] [ "192.0.2.1:443" "https://cache.nixos.org" ]
      "host:port or URLs that prove connectivity; empty: remotes, binary caches, resolvers, gateway.";
    ignore_units = list [ ] [ "fwupd*.service" ] "Globs of units whose failure does not count.";
  };

  checks = option (types.attrsOf (types.submodule check)) { } { web = { kind = "http"; target = "http://localhost/health"; }; }
    "Health checks of this node, by name, beside those of the registry.";

  metrics = {
    listen = str "127.0.0.1:10119" "/run/infra-agent/metrics.sock" "host:port, absolute path of a unix socket, or empty for none.";
    socket_group = option (described "name of a group, or empty" "[^: \t\n/]*") "" "prometheus"
      "Group that may connect to the unix socket; empty: root alone.";
  };

  log = {
    level = word [ "debug" "info" "warn" "error" ] "info" "debug" "Least severe message to log.";
    format = word [ "auto" "text" "json" ] "auto" "json" "auto: text for the journal and terminals.";
  };

  control.group = group "infra-agent" "wheel" "Group that may read the status.";
}
