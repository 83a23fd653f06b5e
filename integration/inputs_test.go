//go:build integration

package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/integration/lab"
	"github.com/infra-agent/infra-agent/reconcile"
)

// What the inputs' servers want, and the repository's does not know.
const (
	inputsPassword = "s3cret-inputs-password"
	inputsToken    = "s3cret-inputs-token"
)

// A flake with private inputs over https, git+https, git+ssh and a forge, and a part of the system that only a private binary
// cache has: the node reaches each with the settings' files, and nothing of them is seen.
func TestPrivateInputsAndCaches(t *testing.T) {
	f := newSourceFleet(t, "")
	archive := tarball(t, "word/text", "a tarball")
	var cache *lab.Node // where the cache's files are
	check(t, f.Tamper(func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			known := user == "inputs" && password == inputsPassword
			path, private := strings.CutPrefix(r.URL.Path, "/private")
			switch {
			case strings.HasPrefix(r.URL.Path, "/api/v3/repos/lab/word/tarball/"):
				if r.Header.Get("Authorization") != "token "+inputsToken {
					http.NotFound(w, r) // as GitHub does
					return
				}
				_, _ = w.Write(archive)
			case !private:
				honest.ServeHTTP(w, r)
			case !known:
				w.Header().Set("WWW-Authenticate", `Basic realm="inputs"`)
				http.Error(w, "who are you?", http.StatusUnauthorized)
			case path == "/word.tar.gz":
				_, _ = w.Write(archive)
			case strings.HasPrefix(path, "/cache/"):
				file, err := cache.Read("/root" + path)
				if err != nil {
					http.NotFound(w, r)
					return
				}
				_, _ = w.Write([]byte(file))
			default:
				r.URL.Path = path
				honest.ServeHTTP(w, r)
			}
		})
	}))
	authority := must[string](t)(f.ServeTLS())
	ssh := must[*lab.SSH](t)(f.ServeSSH())
	files := map[string]string{
		"/etc/inputs/netrc":  "machine " + lab.GitAddress + " login inputs password " + inputsPassword + "\n",
		"/etc/inputs/tokens": "access-tokens = " + lab.GitAddress + "=" + inputsToken + "\n",
		"/etc/inputs/key":    ssh.Key, "/etc/inputs/hosts": ssh.KnownHosts, "/etc/inputs/ca.pem": authority,
		"/etc/inputs/config": "Host fleet-words\n  HostName " + lab.GitAddress + "\n  IdentityFile /etc/inputs/key\n",
	}
	// Of each kind another commit: Nix remembers the trees of commits, wherever they came from.
	rev := f.tip()
	second := f.push("for ssh", map[string]string{"for": "ssh"})
	third := f.push("for a name of ssh_config", map[string]string{"for": "a name"})
	flake := fmt.Sprintf(`{
  inputs.tarball = { url = "http://%[1]s/private/word.tar.gz"; flake = false; };
  inputs.git = { url = "git+http://%[1]s/private/config.git?ref=main&rev=%[2]s"; flake = false; };
  inputs.ssh = { url = "git+%[3]s?ref=main&rev=%[4]s"; flake = false; };
  inputs.named = { url = "git+%[6]s?ref=main&rev=%[7]s"; flake = false; };
  inputs.forge = { url = "github:lab/word/%[5]s?host=%[1]s"; flake = false; };
  outputs = { self, tarball, git, ssh, named, forge }:
    assert builtins.readFile "${tarball}/text" == "a tarball" && builtins.readFile "${forge}/text" == "a tarball";
    assert builtins.pathExists "${git}/fleet.nix" && builtins.readFile "${ssh}/for" == "ssh" && builtins.readFile "${named}/for" == "a name";
    import ./fleet.nix { inherit self; };
}`, lab.GitAddress, rev, ssh.URL, second, strings.Repeat("f0", 20), strings.Replace(ssh.URL, lab.GitAddress, "fleet-words", 1), third)
	// A part that no node but the one with the file can build.
	const part = `derivation { name = "part"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "/usr/bin/cp /etc/inputs/part $out" ]; }`

	t.Log("another node, with the same files, locks the inputs and fills the cache")
	cache = must[*lab.Node](t)(f.Node("db1", addresses["db1"]))
	files["/etc/inputs/part"], files["/root/f/flake.nix"] = "only here", flake
	for path, text := range files {
		check(t, cache.Write(path, text, 0o600))
	}
	check(t, f.Up(t.Context(), third, cache))
	must[string](t)(cache.Run(t.Context(), "sh", "-ec", `
cd /
export HOME=/root NIX_CONFIG="include /etc/inputs/tokens
netrc-file = /etc/inputs/netrc
ssl-cert-file = /etc/inputs/ca.pem"
export GIT_SSH_COMMAND="ssh -F /etc/inputs/config -i /etc/inputs/key -o UserKnownHostsFile=/etc/inputs/hosts"
ln -s /etc/inputs/netrc /root/.netrc
nix flake lock path:/root/f
nix key generate-secret --key-name lab-1 >/root/key
nix key convert-secret-to-public </root/key >/root/public
nix copy --to 'file:///root/cache?secret-key=/root/key' $(nix build --no-link --print-out-paths --expr '`+part+`')`))
	lock := must[string](t)(cache.Read("/root/f/flake.lock"))
	key := must[string](t)(cache.Read("/root/public"))
	delete(files, "/etc/inputs/part")
	delete(files, "/root/f/flake.nix")

	web := f.upWith(files)
	web.watchCommands()
	good := web.toplevel(lab.CurrentSystem)
	settings := must[string](t)(f.Repo().File("config.toml"))
	role := must[string](t)(f.Repo().File("roles/web.nix"))
	bad := f.push("private inputs, and no credentials", map[string]string{
		"flake.nix": flake, "flake.lock": lock,
		"roles/web.nix": strings.Replace(role, "VERSION=1", "VERSION=1 PART=${"+part+"}", 1),
	})
	web.wait("held", held(reconcile.GateEvaluate, "input tarball cannot be downloaded"))
	web.expect(good)
	must[string](t)(f.Repo().Revert(bad))

	t.Log("with credentials: first the settings, and then what needs them")
	private := settings + fmt.Sprintf(`
[nix]
ssh_config_file = "/etc/inputs/config"
netrc_file = "/etc/inputs/netrc"
access_tokens_file = "/etc/inputs/tokens"
ssh_key_file = "/etc/inputs/key"
known_hosts_file = "/etc/inputs/hosts"
extra_args = ["--option", "ssl-cert-file", "/etc/inputs/ca.pem", "--option", "substituters", "http://%s/private/cache", "--option", "trusted-public-keys", %q]
`, lab.GitAddress, key)
	commit := f.push("the settings", map[string]string{"config.toml": private})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	commit = f.push("private inputs", map[string]string{
		"flake.nix": flake, "flake.lock": lock,
		"roles/web.nix": strings.Replace(role, "VERSION=1", "VERSION=1 PART=${"+part+"}", 1),
	})
	web.wait("promoted", ended(reconcile.ResultPromoted, commit))
	web.keepsQuiet(inputsPassword, inputsToken)
}

// tarball makes an archive with one file.
func tarball(t *testing.T, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	check(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
	must[int](t)(w.Write([]byte(text)))
	check(t, w.Close())
	check(t, z.Close())
	return b.Bytes()
}
