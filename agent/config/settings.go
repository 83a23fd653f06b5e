// Package config reads the agent's settings file.
//
// The file is validated as a whole: [Parse] reports every problem at once, with file,
// line, key and a hint. What leaves this package is complete and valid. [Keys] is
// the schema: documentation and the NixOS module are compared with it.
package config

import (
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Settings is what the operator of a node has decided.
type Settings struct {
	Node       string                 `toml:"node" default:"" example:"web1" doc:"Name of this node in the registry; empty: found by hostname."`
	Mode       Mode                   `toml:"mode" type:"deploy, observe" default:"deploy" example:"observe" doc:"observe: nothing is activated, beside another tool that deploys; what would have become of each commit is told."`
	StateDir   string                 `toml:"state_dir" type:"path" default:"/var/lib/infra-agent" example:"/persist/infra-agent" doc:"What must survive a reboot."`
	RunDir     string                 `toml:"run_dir" type:"path" default:"/run/infra-agent" example:"/run/fleet" doc:"The control socket."`
	Rollback   reconcile.RollbackMode `toml:"rollback" type:"auto, hold, never" default:"auto" example:"hold" doc:"What happens when a trial is not healthy; nodes and roles may override it."`
	LastResort reconcile.LastResort   `toml:"last_resort" type:"reboot, stuck" default:"reboot" example:"stuck" doc:"What happens when the old system cannot be brought back."`
	Source     Source                 `toml:"source"`
	Trust      Trust                  `toml:"trust"`
	Registry   Registry               `toml:"registry"`
	Nix        Nix                    `toml:"nix"`
	Manifest   Manifest               `toml:"manifest"`
	Limits     Limits                 `toml:"limits"`
	Confirm    Confirm                `toml:"confirm"`
	Checks     Checks                 `toml:"checks"`
	Metrics    Metrics                `toml:"metrics"`
	Notify     Notify                 `toml:"notify"`
	Log        Log                    `toml:"log"`
	Control    Control                `toml:"control"`
}

// Mode says whether the agent deploys.
type Mode string

// The modes.
const (
	ModeDeploy  Mode = "deploy"
	ModeObserve Mode = "observe"
)

// Source says where the configuration comes from.
type Source struct {
	Remotes        []Remote      `toml:"remotes"` // in order of preference
	Branch         string        `toml:"branch" default:"main" example:"release-{name}" doc:"Branch to follow; {name} stands for the node's name."`
	TestingBranch  string        `toml:"testing_branch" default:"" example:"testing-{name}" doc:"Branch whose commits are tried until confirm.deadline and never kept; {name} as above; empty: none."`
	Subdir         string        `toml:"subdir" type:"path" default:"" example:"nix/fleet" doc:"Directory of the flake in the repository."`
	Interval       time.Duration `toml:"interval" default:"1m" range:"5s to 24h" example:"30s" doc:"Between two polls."`
	ExposeRevision bool          `toml:"expose_revision" default:"true" example:"false" doc:"Hand the commit to Nix as self.rev; false where configurationRevision must not make every commit a new system."`
	Encrypted      Encrypted     `toml:"encrypted" type:"warn, refuse" default:"warn" example:"refuse" doc:"What becomes of a commit with files that git-crypt, git-annex or another filter would have to make readable."`
	Submodules     Submodules    `toml:"submodules" type:"empty, refuse, fetch" true:"fetch" false:"empty" default:"empty" example:"fetch" doc:"What becomes of submodules: empty, or false: empty directories, as for Nix, with a warning; refuse: the commit is held; fetch, or true: they are fetched."`
	LFS            bool          `toml:"lfs" default:"false" example:"true" doc:"Pointers of Git LFS are replaced by the files that they stand for; false: Nix gets the pointers, with a warning."`
	Hosts          []Host        `toml:"hosts"` // beside those of the remotes
}

// A Host is a server that a commit sends the node to: of a submodule, or of Git LFS.
type Host struct {
	Host           string `toml:"host" required:"true" example:"modules.example.org" doc:"Server of submodules or of Git LFS that is not a remote's: its name, or name:port."`
	Username       string `toml:"username" default:"git" example:"fleet-bot" doc:"User name that goes with the token, or of ssh where the url names none."`
	TokenFile      string `toml:"token_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/modules" doc:"File with the access token, for https; empty: no authentication."`
	SSHKeyFile     string `toml:"ssh_key_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/modules-key" doc:"File with the private key for ssh, without a passphrase."`
	KnownHostsFile string `toml:"known_hosts_file" type:"file" default:"" example:"/etc/ssh/ssh_known_hosts" doc:"File with the host keys that the host may show over ssh."`
	CAFile         string `toml:"ca_file" type:"file" default:"" example:"/etc/ssl/certs/modules.pem" doc:"PEM file with the certificate authorities to trust; empty: the system's."`
}

// Submodules is what becomes of a commit's submodules.
type Submodules string

// What becomes of submodules.
const (
	SubmodulesEmpty  Submodules = "empty"
	SubmodulesRefuse Submodules = "refuse"
	SubmodulesFetch  Submodules = "fetch"
)

// Encrypted is what becomes of files that Nix would get as ciphertexts or pointers.
type Encrypted string

// What becomes of such files.
const (
	EncryptedWarn   Encrypted = "warn"
	EncryptedRefuse Encrypted = "refuse"
)

// BranchOf returns the branch that the node called name follows.
func (s Source) BranchOf(name string) string {
	return strings.ReplaceAll(s.Branch, "{name}", name)
}

// TestingOf returns the testing branch of the node called name; "" = none.
func (s Source) TestingOf(name string) string {
	return strings.ReplaceAll(s.TestingBranch, "{name}", name)
}

// A Remote is one place that serves the configuration repository.
type Remote struct {
	Name           string        `toml:"name" default:"origin" example:"forge" doc:"Name of the remote in status, log and metrics."`
	URL            string        `toml:"url" required:"true" example:"https://git.example.org/fleet.git" doc:"https://…, http://…, ssh://git@…, git@host:path, git://…, file:///… or an absolute path; never with a password."`
	Username       string        `toml:"username" default:"git" example:"fleet-bot" doc:"User name that goes with the token, or of ssh where the url names none."`
	TokenFile      string        `toml:"token_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/forge" doc:"File with the access token; empty: no authentication."`
	SSHKeyFile     string        `toml:"ssh_key_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/deploy-key" doc:"File with the private key for ssh, without a passphrase."`
	KnownHostsFile string        `toml:"known_hosts_file" type:"file" default:"" example:"/etc/ssh/ssh_known_hosts" doc:"File with the host keys that an ssh remote may show."`
	CAFile         string        `toml:"ca_file" type:"file" default:"" example:"/etc/ssl/certs/forge.pem" doc:"PEM file with the certificate authorities to trust; empty: the system's."`
	Timeout        time.Duration `toml:"timeout" default:"1m" range:"1s to 1h" example:"20s" doc:"Limit of one poll, and of the remote's silence in a fetch."`
}

// Trust says which commits must be signed, and by whom.
type Trust struct {
	Policy             reconcile.TrustPolicy `toml:"policy" type:"none, tip, all" default:"none" example:"all" doc:"Which commits must be signed: none, the newest, or every one since the last accepted."`
	AllowedSignersFile string                `toml:"allowed_signers_file" type:"file" default:"" example:"/etc/infra-agent/allowed_signers" doc:"OpenSSH allowed signers; empty: no SSH signature is accepted."`
	OpenPGPKeyringFile string                `toml:"openpgp_keyring_file" type:"file" default:"" example:"/etc/infra-agent/keyring.asc" doc:"OpenPGP public keys; empty: no OpenPGP signature is accepted."`
	RevocationFile     string                `toml:"revocation_file" type:"file" default:"" example:"/etc/infra-agent/revoked" doc:"SSH public keys that are not accepted any more, one a line; empty: none."`
	Authorizations     string                `toml:"authorizations" type:"path" default:"" example:"keys/allowed_signers" doc:"OpenSSH allowed signers in the repository, instead of the node's: each commit is verified by what its parents have there."`
	ManifestSigners    string                `toml:"manifest_signers_file" type:"file" default:"" example:"/etc/infra-agent/manifest_signers" doc:"OpenSSH allowed signers of manifests, for the namespace infra-agent-manifest; empty: whom trust.authorizations allows that by name, or nobody."`
	Introduction       reconcile.Commit      `toml:"introduction" default:"" example:"2f1c9d4be03a5c7786d1e0f9ab3c5d7e8f901234" doc:"The commit with which trust.authorizations begins: it is accepted, and what descends from it is verified."`
}

// Registry says where the list of nodes is.
type Registry struct {
	Source RegistrySource `toml:"source" type:"auto, toml, nix, map, none" default:"auto" example:"toml" doc:"auto: the file if there is one, else the attribute; map: a file of another format; none: a node is its output."`
	File   string         `toml:"file" type:"path" default:"infrastructure.toml" example:"nodes.toml" doc:"The registry, relative to the flake."`
	Attr   string         `toml:"attr" default:"infraAgent.registry" example:"fleet.registry" doc:"The registry as an attribute of the flake."`
	Map    Mapping        `toml:"map"`
}

// A Mapping says where a file of another format keeps what the agent needs. Paths
// are keys with dots between them; all but Nodes start at a node.
type Mapping struct {
	Nodes       string `toml:"nodes" default:"" example:"hosts" doc:"map: key of the table, or list, of nodes; dots lead into tables."`
	Roles       string `toml:"roles" default:"" example:"profiles" doc:"map: key of a node's roles; empty: no roles."`
	System      string `toml:"system" default:"" example:"deployment.architecture" doc:"map: key of a node's system; empty: not known."`
	Hostname    string `toml:"hostname" default:"" example:"name" doc:"map: key of a node's host name; empty: the node's name."`
	ManagedWhen string `toml:"managed_when" default:"" example:"!appliance" doc:"map: key, !key, key=value or key!=value of managed nodes; empty: all."`
}

// A RegistrySource is a kind of registry.
type RegistrySource string

// The kinds of registries.
const (
	RegistryAuto RegistrySource = "auto" // the file if there is one, else the attribute if there is one, else none
	RegistryTOML RegistrySource = "toml" // the file, which must exist
	RegistryNix  RegistrySource = "nix"  // the attribute, which must exist
	RegistryMap  RegistrySource = "map"  // a file of another format
	RegistryNone RegistrySource = "none" // the node is its nixosConfigurations output
)

// Limits bounds how long and how much.
type Limits struct {
	Fetch          time.Duration `toml:"fetch" default:"15m" range:"10s to 24h" example:"30m" doc:"Limit of a fetch, verification included."`
	Evaluate       time.Duration `toml:"evaluate" default:"10m" range:"30s to 24h" example:"30m" doc:"Limit of an evaluation."`
	Build          time.Duration `toml:"build" default:"2h" range:"1m to 168h" example:"12h" doc:"Limit of a build."`
	Activate       time.Duration `toml:"activate" default:"10m" range:"1s to 24h" example:"20m" doc:"Limit of an activation."`
	Promote        time.Duration `toml:"promote" default:"5m" range:"1s to 24h" example:"10m" doc:"Limit of making a system permanent."`
	Rollback       time.Duration `toml:"rollback" default:"10m" range:"1s to 24h" example:"20m" doc:"Limit of activating the old system."`
	VerifyRollback time.Duration `toml:"verify_rollback" default:"3m" range:"1s to 24h" example:"5m" doc:"How long the old system may take to be healthy again."`
	EvaluateMemory Size          `toml:"evaluate_memory" default:"8GiB" least:"64MiB" example:"16GiB" doc:"Most memory of an evaluation."`
	TreeBytes      Size          `toml:"tree_bytes" default:"1GiB" least:"1MiB" example:"4GiB" doc:"Most bytes in the files of a revision, of which a single one has at most 100MiB."`
	TreeEntries    int           `toml:"tree_entries" default:"200000" least:"100" example:"1000000" doc:"Most files and directories in a revision."`
	FetchBytes     Size          `toml:"fetch_bytes" default:"256MiB" least:"1MiB" example:"1GiB" doc:"Most bytes in one answer of a remote; of old commits, whose files are skipped, 8 times as many."`
}

// Confirm says when a trial is healthy.
type Confirm struct {
	Settle      time.Duration `toml:"settle" default:"10s" range:"0s to 24h" example:"30s" doc:"Between activation and the first judgement."`
	Window      time.Duration `toml:"window" default:"1m" range:"0s to 24h" example:"5m" doc:"How long everything must be well before a system is confirmed."`
	Deadline    time.Duration `toml:"deadline" default:"10m" range:"1s to 24h" example:"30m" doc:"When an unconfirmed system is rolled back; more than settle + window."`
	DeadlineMax time.Duration `toml:"deadline_max" default:"1h" range:"1s to 168h" example:"4h" doc:"Up to which an operator may extend the deadline."`
	Targets     []string      `toml:"targets" default:"[]" example:"[\"192.0.2.1:443\", \"https://cache.nixos.org\"]" doc:"host:port or URLs that prove connectivity; empty: remotes, binary caches, resolvers, gateway."`
	IgnoreUnits []string      `toml:"ignore_units" default:"[]" example:"[\"fwupd*.service\"]" doc:"Globs of units whose failure does not count."`
}

// Metrics says where metrics are served, and to whom.
type Metrics struct {
	Listen      string `toml:"listen" default:"127.0.0.1:10119" example:"/run/infra-agent/metrics.sock" doc:"host:port, absolute path of a unix socket, or empty for none."`
	Socket      string `toml:"socket" type:"path" default:"" example:"/run/infra-agent/metrics.sock" doc:"Absolute path of a unix socket beside metrics.listen; empty: none."`
	SocketGroup string `toml:"socket_group" type:"group" default:"" example:"prometheus" doc:"Group that may connect to the unix socket; empty: root alone."`
	Textfile    string `toml:"textfile" type:"path" default:"" example:"/var/lib/node_exporter/infra-agent.prom" doc:"File for node_exporter's textfile collector, written every 15 s, whose name ends with .prom; empty: none."`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `toml:"level" type:"debug, info, warn, error" default:"info" example:"debug" doc:"Least severe message to log."`
	Format string `toml:"format" type:"auto, text, json" default:"auto" example:"json" doc:"auto: into the journal with fields, and text elsewhere; text and json: lines, also into the journal."`
}

// Control says who may ask the agent.
type Control struct {
	Group string `toml:"group" type:"group" default:"infra-agent" example:"wheel" doc:"Group that may read the status."`
}

// Checks are the node's own checks, sorted by name.
type Checks []reconcile.Check

// DecodeTOML implements [strict.Decoder]: in the file, checks are a table by name.
func (c *Checks) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	var tables map[string]any
	d.Value(at, v, &tables)
	for name, table := range tables {
		check := d.Check(at.Child(name), name, table)
		d.Validate(at.Child(name), check)
		*c = append(*c, check)
	}
	slices.SortFunc(*c, func(a, b reconcile.Check) int { return strings.Compare(a.Name, b.Name) })
}

// Default returns the settings of an empty file, which lacks a remote.
func Default() Settings {
	var s Settings
	strict.SetDefaults(&s)
	return s
}
