package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/infra-agent/infra-agent/agent/strict"
)

func validateRemote(d *strict.Document, at strict.Path, r Remote) {
	if r.Name == "" {
		d.Problemf(at.Child("name"), "", "is empty")
	}
	if problem, hint := badURL(r.URL); problem != "" {
		d.Problemf(at.Child("url"), hint, "%s", problem)
	}
	ssh, web := isSSH(r.URL), isWeb(r.URL)
	for _, file := range []struct {
		key, path string
		fits      bool
		only      string
	}{
		{"token_file", r.TokenFile, web, "only https and http remotes take a token"},
		{"ca_file", r.CAFile, web, "only https remotes show a certificate"},
		{"ssh_key_file", r.SSHKeyFile, ssh, "only ssh remotes take a key"},
		{"known_hosts_file", r.KnownHostsFile, ssh, "only ssh remotes show a host key"},
	} {
		if file.path != "" && !file.fits {
			d.Problemf(at.Child(file.key), "remove it", "%s", file.only)
		}
	}
	if ssh && r.SSHKeyFile == "" {
		d.Problemf(at.Child("ssh_key_file"), "name the file of a deploy key without a passphrase; no agent and no ~/.ssh is used", "is missing")
	}
	if ssh && r.KnownHostsFile == "" {
		d.Problemf(at.Child("known_hosts_file"), "name a file that holds the server's host key", "is missing: without it, any server could answer")
	}
	if r.Username == "" {
		d.Problemf(at.Child("username"), `leave it out for "git"`, "is empty")
	}
}

func validateHosts(d *strict.Document, hosts []Host) {
	known := map[string]bool{}
	for i, h := range hosts {
		at := strict.Path("source.hosts").Elem(i)
		u, err := url.Parse("https://" + h.Host)
		switch {
		case h.Host == "":
			d.Problemf(at.Child("host"), `write the server's name, such as "git.example.org"`, "is missing")
		case err != nil || u.Host != h.Host || strings.ToLower(h.Host) != h.Host:
			d.Problemf(at.Child("host"), `write the server's name, such as "git.example.org", or name:port`, "%q is not the name of a host", h.Host)
		case known[h.Host]:
			d.Problemf(at.Child("host"), "write one table for it", "%q is there twice", h.Host)
		}
		known[h.Host] = true
		if h.SSHKeyFile != "" && h.KnownHostsFile == "" {
			d.Problemf(at.Child("known_hosts_file"), "name a file that holds the server's host key", "is missing: without it, any server could answer")
		}
		if h.Username == "" {
			d.Problemf(at.Child("username"), `leave it out for "git"`, "is empty")
		}
	}
}

// badURL never quotes the URL: it may hold a password.
func badURL(s string) (problem, hint string) {
	const forms = `write "https://host/path", "ssh://git@host/path", "git@host:path", "git://host/path", "file:///path" or "/path"`
	if s == "" {
		return "is missing", forms
	}
	if filepath.IsAbs(s) || isSCP(s) {
		return "", ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL", forms
	case u.User != nil && (u.Scheme != "ssh" || !onlyName(u.User)):
		return "holds a user name or password", "put the secret into a file and its path into token_file or ssh_key_file"
	case u.RawQuery != "" || u.Fragment != "":
		return "has a query or fragment", "remove what follows ? or #"
	case u.Scheme == "file" && u.Host == "" && filepath.IsAbs(u.Path):
		return "", ""
	case isWeb(s) && u.Hostname() != "":
		return "", ""
	case (u.Scheme == "ssh" || u.Scheme == "git") && u.Hostname() != "" && len(u.Path) > 1:
		return "", ""
	}
	return "is neither a URL of a known kind nor an absolute path", forms
}

func onlyName(u *url.Userinfo) bool {
	_, password := u.Password()
	return !password
}

func isWeb(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

func isSSH(s string) bool { return strings.HasPrefix(s, "ssh://") || isSCP(s) }

// isSCP reports whether s has the short form of an ssh URL: user@host:path.
func isSCP(s string) bool {
	user, rest, at := strings.Cut(s, "@")
	host, path, colon := strings.Cut(rest, ":")
	return at && colon && user != "" && host != "" && path != "" && !strings.ContainsAny(user, ":/ ") && !strings.ContainsAny(host, "/ @")
}
