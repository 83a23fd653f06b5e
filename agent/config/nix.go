package config

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// Nix says what to build and how.
type Nix struct {
	Configuration  string   `toml:"configuration" default:"" example:"web" doc:"Output of nixosConfigurations; empty: by the node's identity."`
	File           string   `toml:"file" type:"path" default:"" example:"default.nix" doc:"Nix file that gives the systems, relative to source.subdir, as of nixos-rebuild --file; empty: the repository is a flake."`
	Attr           string   `toml:"attr" default:"" example:"nodes" doc:"Attribute of nix.file that has the systems by name; empty: what the file evaluates to."`
	Impure         bool     `toml:"impure" default:"false" example:"true" doc:"Evaluations may look at the node: its files, environment and time."`
	OverrideInputs Inputs   `toml:"override_inputs" default:"{}" example:"{ secrets = \"path:/etc/fleet-secrets\" }" doc:"Flake references by the name of the input that they stand for."`
	ExtraArgs      []string `toml:"extra_args" default:"[]" example:"[\"--show-trace\", \"--option\", \"cores\", \"2\"]" doc:"More arguments for every evaluation and the build, such as --show-trace, or --option with a setting of Nix and its value."`

	NetrcFile        string `toml:"netrc_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/netrc" doc:"Names and passwords by host, as of netrc(5): for inputs over https, by git too, and for binary caches."`
	AccessTokensFile string `toml:"access_tokens_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/access-tokens" doc:"Lines of nix.conf(5) with access-tokens = HOST=TOKEN …, for inputs such as github:owner/repository."`
	SSHKeyFile       string `toml:"ssh_key_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/inputs-key" doc:"File with the private key for inputs over ssh, without a passphrase; empty: root's own."`
	KnownHostsFile   string `toml:"known_hosts_file" type:"file" default:"" example:"/etc/ssh/ssh_known_hosts" doc:"File with the host keys that inputs over ssh may show; empty: those of ssh."`
	SSHConfigFile    string `toml:"ssh_config_file" type:"file" default:"" example:"/etc/infra-agent/ssh_config" doc:"File of ssh_config(5) for inputs over ssh, with a key for each host or repository; empty: that of ssh."`
}

// Inputs are flake references by the name of the input that they stand for.
type Inputs map[string]string

// DecodeTOML implements [strict.Decoder].
func (in *Inputs) DecodeTOML(d *strict.Document, at strict.Path, v any) {
	var table map[string]any
	d.Value(at, v, &table)
	for name, value := range table {
		var reference string
		d.Value(at.Child(name), value, &reference)
		if *in == nil {
			*in = Inputs{}
		}
		(*in)[name] = reference
	}
}

// extraArgs are the arguments that may be given, with the number of values that
// follow each: those that "nix eval" (2.18 to 2.26, args.cc and common-args.cc), the
// nixos-rebuild of NixOS 24.11 (nixos-rebuild.sh of nixpkgs 00409d13552d) and
// nixos-rebuild-ng (__init__.py of nixpkgs a87ce1b44e64) all know. None of them takes
// "--name=value" or part of a name, so a list of what is allowed leaves no other
// spelling. What is not in it would fail one half of the work, or undo what the agent
// says itself.
var extraArgs = map[string]int{
	"--option": 2, "--builders": 1, "--cores": 1, "--max-jobs": 1, "-j": 1, "-I": 1,
	"--fallback": 0, "--keep-failed": 0, "--keep-going": 0, "--no-net": 0, "--offline": 0,
	"--print-build-logs": 0, "-L": 0, "--quiet": 0, "--refresh": 0, "--repair": 0, "--show-trace": 0,
}

// ownArgs have a setting of their own, or are the agent's.
var ownArgs = map[string]string{
	"--impure":              "set nix.impure",
	"--override-input":      "set nix.override_inputs",
	"--accept-flake-config": "remove it: a repository must not be able to change the node's Nix settings",
	"--update-input":        "remove it: flake.lock is law; commit a newer one",
	"--recreate-lock-file":  "remove it: flake.lock is law; commit a newer one",
	"--log-format":          "remove it: the agent reads the log",
}

// ownSettings are those of Nix that an argument must not set.
var ownSettings = map[string]string{
	"accept-flake-config": "remove it: a repository must not be able to change the node's Nix settings",
	"pure-eval":           "set nix.impure",
	"netrc-file":          "set nix.netrc_file, which counts for git, too",
	"access-tokens":       "put them into a file and set nix.access_tokens_file: everybody may read the settings",
}

var settingName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func validateNix(d *strict.Document, n Nix) {
	at := strict.Path("nix.extra_args")
	for i := 0; i < len(n.ExtraArgs); {
		arg := n.ExtraArgs[i]
		values, known := extraArgs[arg]
		switch {
		case !known:
			hint := ownArgs[arg]
			if hint == "" {
				hint = "want one of " + strings.Join(slices.Sorted(maps.Keys(extraArgs)), ", ") + "; a setting of Nix is --option, its name and its value"
			}
			d.Problemf(at.Elem(i), hint, "%q is not for here", arg)
		case i+values >= len(n.ExtraArgs):
			d.Problemf(at.Elem(i), "", "%q lacks what must follow it", arg)
		case arg == "--option":
			validateSetting(d, at, i+1, n.ExtraArgs[i+1], n.ExtraArgs[i+2])
		case arg == "--max-jobs" || arg == "-j":
			validateSetting(d, at, i, "max-jobs", n.ExtraArgs[i+1])
		}
		i += 1 + values
	}
	for _, file := range []struct{ key, path string }{{"ssh_key_file", n.SSHKeyFile}, {"known_hosts_file", n.KnownHostsFile}, {"ssh_config_file", n.SSHConfigFile}} {
		if strings.ContainsAny(file.path, " \t\n'\"\\") {
			d.Problemf(strict.Path("nix").Child(file.key), "", "%q has a character that cannot be handed to ssh", file.path)
		}
	}
	if strings.ContainsAny(n.NetrcFile+n.AccessTokensFile, "\n#") {
		d.Problemf("nix.netrc_file", "", "a path with the end of a line or a # in it cannot be handed to Nix")
	}
	if n.File != "" && (!filepath.IsLocal(n.File) || n.File == ".") {
		d.Problemf("nix.file", "", "%q is not a path inside the repository", n.File)
	}
	if strings.Trim(n.Attr, attributeCharacters) != "" {
		d.Problemf("nix.attr", "", "%q is not a path of attributes such as nixosConfigurations", n.Attr)
	}
	if n.File == "" && n.Attr != "" {
		d.Problemf("nix.attr", "of a flake they are nixosConfigurations", "is where the systems are in nix.file, which is not set")
	}
	if n.File != "" && len(n.OverrideInputs) > 0 {
		d.Problemf("nix.override_inputs", "", "are inputs of a flake, and nix.file says that the repository is none")
	}
	for _, name := range slices.Sorted(maps.Keys(n.OverrideInputs)) {
		reference := n.OverrideInputs[name]
		if name == "" || strings.HasPrefix(name, "-") || reference == "" || strings.HasPrefix(reference, "-") {
			d.Problemf(strict.Path("nix.override_inputs").Child(name), `write NAME = "github:owner/repository/REVISION", or another flake reference`,
				"%q is not a flake reference for an input", reference)
		}
	}
}

// validateSetting looks at a setting of Nix, which will be a line of its own.
func validateSetting(d *strict.Document, at strict.Path, i int, name, value string) {
	hint, own := ownSettings[strings.TrimPrefix(name, "extra-")]
	switch {
	case own:
		d.Problemf(at.Elem(i), hint, "%q is not for here", name)
	case !settingName.MatchString(name):
		d.Problemf(at.Elem(i), "nix.conf(5) lists them", "%q is not the name of a setting of Nix", name)
	case name == "max-jobs" && strings.TrimSpace(value) == "0":
		d.Problemf(at.Elem(i+1), "where others build for the node, set nix.settings.max-jobs = 0", "with max-jobs 0 the agent could build nothing, and no fix would arrive")
	case strings.ContainsAny(value, "\r\n#"):
		d.Problemf(at.Elem(i+1), "", "%q has the end of a line or a # in it, which no setting of Nix can hold", value)
	}
}

// Arguments takes the extra arguments apart: settings of Nix, as lines of nix.conf(5),
// and the rest.
func (n Nix) Arguments() (args, settings []string) {
	for i := 0; i < len(n.ExtraArgs); i++ {
		if n.ExtraArgs[i] == "--option" && i+2 < len(n.ExtraArgs) {
			settings = append(settings, n.ExtraArgs[i+1]+" = "+n.ExtraArgs[i+2])
			i += 2
			continue
		}
		end := min(i+extraArgs[n.ExtraArgs[i]]+1, len(n.ExtraArgs)) // a value may look like "--option"
		args = append(args, n.ExtraArgs[i:end]...)
		i = end - 1
	}
	return args, settings
}
