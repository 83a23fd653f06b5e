package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Relative URLs lead where git itself says that they do.
func TestResolveModule(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ base, module, want string }{
		{"https://h/a/fleet.git", "../lib.git", "https://h/a/lib.git"},
		{"https://h/a/fleet.git/", "../lib.git", "https://h/a/lib.git"},
		{"https://h/a/fleet.git", "../../b/lib.git", "https://h/b/lib.git"},
		{"https://h:8443/a/fleet.git", "./lib.git", "https://h:8443/a/fleet.git/lib.git"},
		{"https://h/a/b/fleet", ".././../lib", "https://h/a/lib"},
		{"ssh://git@h:2222/~u/fleet.git", "../lib.git", "ssh://git@h:2222/~u/lib.git"},
		{"ssh://git@[::1]:2222/a/fleet.git", "../lib.git", "ssh://git@[::1]:2222/a/lib.git"},
		{"git@h:a/fleet.git", "../lib.git", "git@h:a/lib.git"},
		{"git@h:fleet.git", "../lib.git", "git@h:lib.git"},
		{"git@h:/srv/fleet.git", "../lib.git", "git@h:/srv/lib.git"},
		{"git@[::1]:a/fleet.git", "../lib.git", "git@[::1]:a/lib.git"},
		{"git@h:a/fleet.git", "https://x/y.git", "https://x/y.git"},
		{"git@h:a/fleet.git", "bot@x:y.git", "bot@x:y.git"},
	} {
		got, err := resolveModule(c.base, c.module)
		if err != nil || got != c.want {
			t.Errorf("resolveModule(%q, %q) = %q, %v, want %q", c.base, c.module, got, err, c.want)
		}
		w.git("config", "-f", ".gitmodules", "submodule.m.path", "m")
		w.git("config", "-f", ".gitmodules", "submodule.m.url", c.module)
		w.git("update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,m")
		w.git("config", "remote.origin.url", c.base)
		w.git("submodule", "--quiet", "init")
		if git := w.git("config", "submodule.m.url"); git != c.want {
			t.Errorf("git makes %q of %q and %q, want %q", git, c.base, c.module, c.want)
		}
		w.git("submodule", "--quiet", "deinit", "-f", "m")
	}
}

func TestResolveModuleRefuses(t *testing.T) {
	t.Parallel()
	const web, short = "https://h/a/fleet.git", "git@h:fleet.git"
	for _, c := range []struct{ base, module, want string }{
		{web, "../../../x", "leads out of the server"},
		{web, "../..", "is not that of a server"},
		{short, "../../x", "leads out of the server"},
		{"/srv/fleet.git", "../lib.git", "is not that of a server"},
		{web, "/srv/lib.git", "is not that of a server"},
		{web, "lib.git", "is not that of a server"},
		{web, "file:///srv/lib.git", "is not that of a server"},
		{web, "ext::sh", "is not that of a server"},
		{web, "ext::sh -c id", "is not that of a server"},
		{web, "fd::17", "is not that of a server"},
		{web, "-oProxyCommand=id", "is not that of a server"},
		{web, "ssh://-oProxyCommand=id/x", "is not that of a server"},
		{web, "git@-oProxyCommand=id:x", "is not that of a server"},
		{web, "ftp://h/x", "is not that of a server"},
		{web, "https://h/a b", "is not that of a server"},
		{web, "https://h", "is not that of a server"},
		{web, "h:x", "is not that of a server"},
		{web, "https://u:hunter2@h/x", "has a password"},
		{web, "https://h/x?t=hunter2", "a query"},
		{web, "https://u:hunter2@h:port/x", "its url is none"},
	} {
		got, err := resolveModule(c.base, c.module)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("resolveModule(%q, %q) = %q, %v, want an error that says %q", c.base, c.module, got, err, c.want)
		}
	}
}

func TestParseModules(t *testing.T) {
	t.Parallel()
	module := func(name, path, url string) string {
		return "[submodule \"" + name + "\"]\n\tpath = " + path + "\n\turl = " + url + "\n"
	}
	got, err := parseModules([]byte("# ours\n" + module("a", "libs/a", "../a.git") + "\tbranch = main\n" + module("b", "libs/b c", "https://h/b")))
	if want := map[string]string{"libs/a": "../a.git", "libs/b c": "https://h/b"}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("parseModules = %v, %v, want %v", got, err, want)
	}
	for _, c := range []struct{ name, text, want string }{
		{"up", module("a", "../a", "u"), `submodule "a" has the path "../a", which is none in the tree`},
		{"up inside", module("a", "x/../../a", "u"), `the path "x/../../a"`},
		{"absolute", module("a", "/etc", "u"), `the path "/etc"`},
		{"the tree itself", module("a", ".", "u"), `the path "."`},
		{"no path", "[submodule \"a\"]\n\turl = u\n", `submodule "a" lacks path or url`},
		{"no url", "[submodule \"a\"]\n\tpath = a\n", `submodule "a" lacks path or url`},
		{"two", module("a", "x", "u") + module("b", "x", "v"), `"x" is the path of two submodules`},
		{"no settings", "\x00\x01[", ".gitmodules: "},
	} {
		if _, err := parseModules([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x00\n") {
			t.Errorf("%s: %v, want an error of one line that says %q", c.name, err, c.want)
		}
	}
}

func FuzzParseModules(f *testing.F) {
	f.Add("[submodule \"a\"]\n\tpath = a\n\turl = ../b\n")
	f.Add("[submodule \"a\"]\n\tpath = \"a\\tb\"\n\turl = https://h/x # y\n")
	f.Fuzz(func(t *testing.T, text string) {
		urls, err := parseModules([]byte(text))
		if err != nil {
			return
		}
		for at, from := range urls {
			if at == "" || from == "" || strings.HasPrefix(at, "/") || strings.Contains("/"+at+"/", "/../") {
				t.Errorf("path %q, url %q", at, from)
			}
			_, _ = resolveModule("https://h/a/fleet.git", from)
		}
	})
}
