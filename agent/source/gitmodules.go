package source

import (
	"bytes"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/config"
)

// Whoever writes a commit writes its .gitmodules: of gitmodules(5) no more is taken
// than where a submodule is fetched from, and of the URLs that git takes no more than
// those of servers.

// parseModules returns the URLs of a .gitmodules by the path of the submodule.
func parseModules(text []byte) (map[string]string, error) {
	parsed := config.New()
	if err := config.NewDecoder(bytes.NewReader(text)).Decode(parsed); err != nil {
		return nil, fmt.Errorf(".gitmodules: %s", oneLine(err.Error(), 200))
	}
	urls := map[string]string{}
	for _, module := range parsed.Section("submodule").Subsections {
		at, from := module.Option("path"), module.Option("url")
		switch known, twice := urls[at]; {
		case at == "" || from == "":
			return nil, fmt.Errorf(".gitmodules: submodule %q lacks path or url", module.Name)
		case path.IsAbs(at) || path.Clean(at) != at || at == "." || at == ".." || strings.HasPrefix(at, "../"):
			return nil, fmt.Errorf(".gitmodules: submodule %q has the path %q, which is none in the tree", module.Name, at)
		case twice && known != from:
			return nil, fmt.Errorf(".gitmodules: %q is the path of two submodules", at)
		}
		urls[at] = from
	}
	return urls, nil
}

// resolveModule returns the URL of a submodule of the repository at base: as git does,
// one that begins with ./ or ../ is relative to that.
func resolveModule(base, module string) (string, error) {
	if strings.HasPrefix(module, "./") || strings.HasPrefix(module, "../") {
		relative := module
		prefix, at := splitURL(base)
		steps := strings.Split(strings.Trim(at, "/"), "/")
		for _, step := range strings.Split(relative, "/") {
			switch {
			case step == ".", step == "":
			case step == ".." && len(steps) == 0:
				return "", fmt.Errorf("its url %q leads out of the server", relative)
			case step == "..":
				steps = steps[:len(steps)-1]
			default:
				steps = append(steps, step)
			}
		}
		if strings.HasPrefix(at, "/") {
			prefix += "/"
		}
		module = prefix + strings.Join(steps, "/")
	}
	return module, validateModule(module)
}

// splitURL takes a URL apart into the server and what is there.
func splitURL(at string) (server, below string) {
	if scheme, rest, is := strings.Cut(at, "://"); is {
		host, below, _ := strings.Cut(rest, "/")
		return scheme + "://" + host, "/" + below
	}
	if isShort(at) {
		i := strings.LastIndex(at, "]:") + 1
		i += strings.Index(at[i:], ":")
		return at[:i+1], at[i+1:]
	}
	return "", at
}

// isShort reports whether a URL has git's short form host:path.
func isShort(at string) bool {
	before, _, colon := strings.Cut(at, ":")
	return colon && !strings.Contains(before, "/") && !strings.Contains(at, "://")
}

// validateModule refuses the URLs of what is no server, those that a program could take
// for an argument, and those with a password. It repeats no password.
func validateModule(at string) error {
	const want = "(hint: write https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH)"
	if strings.HasPrefix(at, "-") || strings.Contains(at, "::") && !strings.Contains(at, "[") || strings.ContainsFunc(at, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("its url %q is not that of a server %s", oneLine(at, 100), want)
	}
	if isShort(at) {
		server, below := splitURL(at)
		if _, host, named := strings.Cut(server, "@"); !named || strings.HasPrefix(host, "-") || below == "" {
			return fmt.Errorf("its url %q is not that of a server %s", oneLine(at, 100), want)
		}
		return nil
	}
	u, err := url.Parse(at)
	if err != nil {
		return fmt.Errorf("its url is none %s", want)
	}
	_, password := u.User.Password()
	switch {
	case password, u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("its url has a password, a query or a fragment %s", want)
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh" && u.Scheme != "git", u.Hostname() == "",
		strings.HasPrefix(u.Hostname(), "-"), strings.Trim(u.Path, "/") == "":
		return fmt.Errorf("its url %q is not that of a server %s", oneLine(u.Redacted(), 100), want)
	}
	return nil
}
