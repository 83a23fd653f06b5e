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
	Node       string                 `toml:"node"` // explicit identity; "" = see the registry
	StateDir   string                 `toml:"state_dir"`
	RunDir     string                 `toml:"run_dir"`
	Rollback   reconcile.RollbackMode `toml:"rollback"`
	LastResort reconcile.LastResort   `toml:"last_resort"`
	Source     Source                 `toml:"source"`
	Trust      Trust                  `toml:"trust"`
	Registry   Registry               `toml:"registry"`
	Nix        Nix                    `toml:"nix"`
	Limits     Limits                 `toml:"limits"`
	Confirm    Confirm                `toml:"confirm"`
	Checks     Checks                 `toml:"checks"`
	Metrics    Metrics                `toml:"metrics"`
	Log        Log                    `toml:"log"`
	Control    Control                `toml:"control"`
}

// Source says where the configuration comes from.
type Source struct {
	Remotes  []Remote      `toml:"remotes"` // in order of preference
	Branch   string        `toml:"branch"`  // may contain {name}, see [Source.BranchOf]
	Subdir   string        `toml:"subdir"`  // of the flake; "" = the repository's root
	Interval time.Duration `toml:"interval"`

	TestingBranch string `toml:"testing_branch"` // only ever tried; may contain {name}; "" = none

	ExposeRevision bool `toml:"expose_revision"` // to Nix, as self.rev

	Encrypted  Encrypted  `toml:"encrypted"` // what becomes of commits with files that only a filter of git makes readable
	Submodules Submodules `toml:"submodules"`
	LFS        bool       `toml:"lfs"`   // fetch what pointers of Git LFS stand for
	Hosts      []Host     `toml:"hosts"` // beside those of the remotes
}

// A Host is a server that a commit sends the node to: of a submodule, or of Git LFS.
type Host struct {
	Host           string `toml:"host"` // may have a port
	Username       string `toml:"username"`
	TokenFile      string `toml:"token_file"`       // for https
	SSHKeyFile     string `toml:"ssh_key_file"`     // for ssh
	KnownHostsFile string `toml:"known_hosts_file"` // for ssh
	CAFile         string `toml:"ca_file"`          // for https
}

// SetDefaults implements [strict.Defaulter].
func (h *Host) SetDefaults() { *h = Host{Username: "git"} }

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
	Name           string        `toml:"name"`
	URL            string        `toml:"url"`              // https, http, ssh, git, file, or an absolute path
	Username       string        `toml:"username"`         // used with the token, and for ssh
	TokenFile      string        `toml:"token_file"`       // "" = no authentication
	SSHKeyFile     string        `toml:"ssh_key_file"`     // for ssh, which needs it
	KnownHostsFile string        `toml:"known_hosts_file"` // for ssh, which needs it
	CAFile         string        `toml:"ca_file"`          // PEM; "" = the system's
	Timeout        time.Duration `toml:"timeout"`          // of one poll, and of the server's silence in a fetch
}

// SetDefaults implements [strict.Defaulter].
func (r *Remote) SetDefaults() {
	*r = Remote{Name: "origin", Username: "git", Timeout: time.Minute}
}

// Trust says which commits must be signed, and by whom.
type Trust struct {
	Policy             reconcile.TrustPolicy `toml:"policy"`
	AllowedSignersFile string                `toml:"allowed_signers_file"`
	OpenPGPKeyringFile string                `toml:"openpgp_keyring_file"`
	RevocationFile     string                `toml:"revocation_file"`
}

// Registry says where the list of nodes is.
type Registry struct {
	Source RegistrySource `toml:"source"`
	File   string         `toml:"file"` // relative to the flake
	Attr   string         `toml:"attr"` // of the flake
	Map    Mapping        `toml:"map"`
}

// A Mapping says where a file of another format keeps what the agent needs. Paths
// are keys with dots between them; all but Nodes start at a node.
type Mapping struct {
	Nodes       string `toml:"nodes"`
	Roles       string `toml:"roles"`
	System      string `toml:"system"`
	Hostname    string `toml:"hostname"`
	ManagedWhen string `toml:"managed_when"` // key, !key, key=value, key!=value
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
	Fetch          time.Duration `toml:"fetch"`
	Evaluate       time.Duration `toml:"evaluate"`
	Build          time.Duration `toml:"build"`
	Activate       time.Duration `toml:"activate"`
	Promote        time.Duration `toml:"promote"`
	Rollback       time.Duration `toml:"rollback"`
	VerifyRollback time.Duration `toml:"verify_rollback"`
	EvaluateMemory Size          `toml:"evaluate_memory"`
	TreeBytes      Size          `toml:"tree_bytes"`   // of all files of a revision
	TreeEntries    int           `toml:"tree_entries"` // files, links and directories of a revision
	FetchBytes     Size          `toml:"fetch_bytes"`  // of one answer of a remote
}

// Confirm says when a trial is healthy.
type Confirm struct {
	Settle      time.Duration `toml:"settle"` // between activation and the first judgement
	Window      time.Duration `toml:"window"` // how long all must be well
	Deadline    time.Duration `toml:"deadline"`
	DeadlineMax time.Duration `toml:"deadline_max"` // up to which an operator may extend
	Targets     []string      `toml:"targets"`      // host:port or URL; empty = found out
	IgnoreUnits []string      `toml:"ignore_units"` // globs
}

// Metrics says where metrics are served, and to whom.
type Metrics struct {
	Listen      string `toml:"listen"`       // host:port, absolute path of a unix socket, or "" = off
	SocketGroup string `toml:"socket_group"` // may connect to the unix socket; "" = only root
}

// Log says what is logged, and how.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // auto, text, json
}

// Control says who may ask the agent.
type Control struct {
	Group string `toml:"group"` // may read the status
}

// Files lists the files that the settings name: credentials, keys and lists of them.
func (s Settings) Files() []string {
	files := []string{s.Trust.AllowedSignersFile, s.Trust.OpenPGPKeyringFile, s.Trust.RevocationFile}
	for _, r := range s.Source.Remotes {
		files = append(files, r.TokenFile, r.SSHKeyFile, r.KnownHostsFile, r.CAFile)
	}
	for _, h := range s.Source.Hosts {
		files = append(files, h.TokenFile, h.SSHKeyFile, h.KnownHostsFile, h.CAFile)
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "" })
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
	return Settings{
		StateDir:   "/var/lib/infra-agent",
		RunDir:     "/run/infra-agent",
		Rollback:   reconcile.RollbackAuto,
		LastResort: reconcile.LastResortReboot,
		Source:     Source{Branch: "main", Interval: time.Minute, ExposeRevision: true, Encrypted: EncryptedWarn, Submodules: SubmodulesEmpty},
		Trust:      Trust{Policy: reconcile.TrustNone},
		Registry:   Registry{Source: RegistryAuto, File: "infrastructure.toml", Attr: "infraAgent.registry"},
		Limits: Limits{
			Fetch:          15 * time.Minute,
			Evaluate:       10 * time.Minute,
			Build:          2 * time.Hour,
			Activate:       10 * time.Minute,
			Promote:        5 * time.Minute,
			Rollback:       10 * time.Minute,
			VerifyRollback: 3 * time.Minute,
			EvaluateMemory: 8 << 30,
			TreeBytes:      1 << 30,
			TreeEntries:    200000,
			FetchBytes:     256 << 20,
		},
		Confirm: Confirm{
			Settle:      10 * time.Second,
			Window:      time.Minute,
			Deadline:    10 * time.Minute,
			DeadlineMax: time.Hour,
		},
		Metrics: Metrics{Listen: "127.0.0.1:10119"},
		Log:     Log{Level: "info", Format: "auto"},
		Control: Control{Group: "infra-agent"},
	}
}
