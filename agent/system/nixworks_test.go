package system

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

const unitWithPath = "[Service]\nEnvironment=\"LANG=C\"\nEnvironment=\"PATH=/nix/store/x/bin:/run/current-system/sw/bin\"\nExecStart=/agent run\n"

// A Nix of the new system that could never deploy another commit is seen before it is tried.
func TestANixThatIsOfNoUse(t *testing.T) {
	const (
		next    = "/nix/store/new"
		nix     = next + "/sw/bin/nix"
		rebuild = next + "/sw/bin/nixos-rebuild"
		conf    = next + "/etc/nix/nix.conf"
		says    = `#!/bin/sh
case "$*" in
*"eval --expr 1 + 1") grep -q plugin "$NIX_CONF_DIR/nix.conf" && { echo "error: could not open the plugin" >&2; exit 1; }; echo 2 ;;
*"config show --json")
  grep -q '^max-jobs$' "$NIX_CONF_DIR/nix.conf" && { echo "error: syntax error in configuration line 'max-jobs'" >&2; exit 1; }
  jobs=$(sed -n 's/^max-jobs = //p' "$NIX_CONF_DIR/nix.conf")
  builders=$(sed -n 's/^builders = //p' "$NIX_CONF_DIR/nix.conf")
  echo "{\"max-jobs\":{\"value\":${jobs:-2}},\"builders\":{\"value\":\"${builders:-@/etc/nix/machines}\"}}" ;;
*"build --no-link --expr derivation { name = \"infra-agent-preflight\";"*"manifest = \"/nix/store/new\";"*)
  [ "$NIX_REMOTE" = local ] || exit 8
  grep -q nonesuch "$NIX_CONF_DIR/nix.conf" && { echo "error: the group 'nonesuch' specified in 'build-users-group' does not exist" >&2; exit 1; }
  exit 0 ;;
*) exit 9 ;;
esac
`
	)
	for _, tt := range []struct {
		name  string
		files map[string]string // beside the usual ones; "-": without it
		want  string            // "": it is of use
	}{
		{"the same settings: nothing is asked", map[string]string{nix: "#!/bin/sh\nexit 9\n", conf: "cores = 1\n"}, ""},
		{"other settings", nil, ""},
		{"no nix", map[string]string{nix: "-"}, "finds no nix on its PATH"},
		{"no nixos-rebuild", map[string]string{rebuild: "-"}, "finds no nixos-rebuild on its PATH"},
		{"nix in a package of the PATH", map[string]string{nix: "-", "/nix/store/x/bin/nix": says}, ""},
		{"a slip in the syntax", map[string]string{conf: "max-jobs\n"}, "syntax error in configuration line 'max-jobs'"},
		{"it cannot evaluate", map[string]string{conf: "plugin-files = /x\n"}, "could not open the plugin"},
		{"it cannot build", map[string]string{conf: "build-users-group = nonesuch\n"}, "specified in 'build-users-group' does not exist"},
		{"it cannot build, and others do", map[string]string{conf: "build-users-group = nonesuch\nmax-jobs = 0\nbuilders = ssh://builder\n"}, ""},
		{"no jobs", map[string]string{conf: "max-jobs = 0\n"}, "max-jobs is 0, and there are no builders"},
		{"no jobs, and an empty list of builders", map[string]string{conf: "max-jobs = 0\n", next + "/etc/nix/machines": "\n"}, "max-jobs is 0, and there are no builders"},
		{"no jobs, and builders in a file", map[string]string{conf: "max-jobs = 0\n", next + "/etc/nix/machines": "ssh://builder\n"}, ""},
		{"no jobs, and builders in the settings", map[string]string{conf: "max-jobs = 0\nbuilders = ssh://builder\n"}, ""},
		{"a unit without a PATH", map[string]string{next + "/etc/systemd/system/" + AgentUnit: "[Service]\n", nix: "-"}, ""},
		{"no unit", map[string]string{next + "/etc/systemd/system/" + AgentUnit: "-", nix: "-"}, ""},
	} {
		files := map[string]string{
			"/run/current-system": "-> /nix/store/now", "/nix/store/now/etc/nix/nix.conf": "cores = 1\n",
			nix: says, rebuild: "#!/bin/sh\n", conf: "cores = 2\n", next + "/etc/systemd/system/" + AgentUnit: unitWithPath,
		}
		for name, content := range tt.files {
			files[name] = content
			if content == "-" {
				delete(files, name)
			}
		}
		err := root(t, files).nixWorks(t.Context(), next)
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestANewHostNameIsSeen(t *testing.T) {
	n := root(t, map[string]string{
		"/proc/sys/kernel/hostname":    "web1\n",
		"/nix/store/same/etc/hostname": "web1\n", "/nix/store/other/etc/hostname": "web9\n", "/nix/store/dhcp/init": "",
	})
	for top, want := range map[string]string{"same": "", "other": "web9", "dhcp": ""} {
		if got := n.hostName(reconcile.Toplevel("/nix/store/" + top)); got != want {
			t.Errorf("%s: got %q, want %q", top, got, want)
		}
	}
}

// A file that the new settings name, and that can never be there, is seen before the trial.
func TestFilesThatCannotBeThere(t *testing.T) {
	const next = "/nix/store/new"
	unit := next + "/etc/systemd/system/" + AgentUnit
	for _, tt := range []struct {
		file, unit, overrides, want string
	}{
		{file: credentialsOf + "forge", unit: "[Service]\nLoadCredential=forge:/run/secrets/x\n"},
		{file: credentialsOf + "forge", unit: "[Service]\nSetCredential=forge:x\n"},
		{file: credentialsOf + "forge", unit: "[Service]\n", overrides: "[Service]\nLoadCredentialEncrypted=forge:/x\n"},
		{file: credentialsOf + "forge", unit: "[Service]\nImportCredential=infra.*\n"},
		{file: credentialsOf + "forge", unit: "[Service]\nLoadCredential=forge2:/run/secrets/x\n", want: `asks for no credential "forge"`},
		{file: credentialsOf + "forge", unit: "[Service]\n", overrides: "[Service]\nEnvironment=A=b\n", want: `asks for no credential "forge"`},
		{file: "/nix/store/there", unit: "[Service]\n"},
		{file: "/nix/store/gone/signers", unit: "[Service]\n", want: "/nix/store/gone/signers, which the Nix store does not have"},
		{file: "/run/secrets/made-by-the-activation", unit: "[Service]\n"},
		{file: "/etc/infra-agent/signers", unit: "[Service]\n"},
	} {
		files := map[string]string{unit: tt.unit, "/nix/store/there": ""}
		if tt.overrides != "" {
			files[unit+".d/overrides.conf"] = tt.overrides
		}
		err := root(t, files).named(next, []string{"/etc/hostname", tt.file})
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s with %q %q: got %v, want %q", tt.file, tt.unit, tt.overrides, err, tt.want)
		}
	}
}
