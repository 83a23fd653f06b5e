package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Submodules is what becomes of the submodules of a commit.
type Submodules string

// What becomes of submodules.
const (
	SubmodulesEmpty  Submodules = "empty"  // empty directories, as for Nix, with a warning
	SubmodulesRefuse Submodules = "refuse" // the commit is refused
	SubmodulesFetch  Submodules = "fetch"  // fetched, and theirs too
)

const (
	maxModules     = 100 // submodules of a commit, theirs included
	maxModulesDeep = 8   // submodules in each other
)

// A link is where the tree of a repository names a commit of another one.
type link struct {
	path   string // in the tree that is written
	commit plumbing.Hash
}

// modules fetches the submodules of one commit, each repository into a store of its
// own. A commit of a submodule is what the tree says, down to the last bit: that the
// tip was verified vouches for it.
type modules struct {
	job  job   // of the tip
	left int64 // bytes that may still be fetched
	done int
	used map[string]bool // names of stores
}

func newModules(j job) *modules {
	return &modules{job: j, left: j.Limits.FetchBytes, used: map[string]bool{}}
}

// repository writes the tree of a repository at root, and the trees of its submodules
// where these are to be fetched.
func (w *writer) repository(ctx context.Context, from Remote, s *store, root string, tree plumbing.Hash, deep int) error {
	w.store, w.links, w.pointers = s, nil, nil
	if err := w.directory(root, tree); err != nil {
		return err
	}
	links := w.links
	if err := w.objects(ctx, from, root, w.pointers); err != nil || len(links) == 0 {
		return err
	}
	urls, err := w.modulesOf(root)
	if err != nil {
		return err
	}
	for _, l := range links {
		if w.modules.done++; w.modules.done > maxModules || deep >= maxModulesDeep {
			return refused("submodule %q: the commit has more than %d submodules, or more than %d in each other", l.path, maxModules, maxModulesDeep)
		}
		at, named := urls[strings.TrimPrefix(l.path, root+"/")]
		if !named {
			return refused("submodule %q is not in .gitmodules (hint: git submodule add, or git rm --cached)", l.path)
		}
		at, err := resolveModule(from.URL, at)
		if err != nil {
			return refused("submodule %q: %w", l.path, err)
		}
		remote, err := w.checkout.remoteAt(at, from, w.modules.job.Remote)
		if err != nil {
			return fmt.Errorf("submodule %q: %w", l.path, err)
		}
		if err := w.submodule(ctx, remote, l, deep+1); err != nil {
			return fmt.Errorf("submodule %q at %s: %w", l.path, remote.URL, err)
		}
	}
	return nil
}

// modulesOf reads the .gitmodules that was just written.
func (w *writer) modulesOf(root string) (map[string]string, error) {
	text, err := w.small(path.Join(root, ".gitmodules"))
	if err != nil {
		return nil, err
	}
	urls, err := parseModules(text)
	if err != nil {
		return nil, refused("%w", err)
	}
	return urls, nil
}

// small reads a file of the tree that says something about others; nil where there is
// none. As for git, a link is no such file.
func (w *writer) small(name string) ([]byte, error) {
	const most = 1 << 20
	info, err := w.root.Lstat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > most) {
		return nil, refused("%q is not a file of at most %d bytes", name, most)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	text, err := w.root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}

// submodule fetches what a link names, and writes it there.
func (w *writer) submodule(ctx context.Context, from Remote, l link, deep int) error {
	s, err := w.modules.store(ctx, from, l.commit)
	if err != nil {
		return err
	}
	defer s.close()
	commit, err := s.commit(l.commit)
	if err != nil {
		return err
	}
	return w.repository(ctx, from, s, l.path, commit.TreeHash, deep)
}

// store returns the store that has the commit, which is fetched where it is not there.
// A store that cannot be read, or leads to more than a fetch may bring, is made anew.
func (m *modules) store(ctx context.Context, from Remote, commit plumbing.Hash) (*store, error) {
	sum := sha256.Sum256([]byte(from.URL))
	name := hex.EncodeToString(sum[:8])
	dir := filepath.Join(m.job.modulesDir(), name)
	m.used[name] = true
	s, err := m.bring(ctx, from, dir, commit)
	if _, damaged := errors.AsType[*damagedError](err); damaged {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("delete the git store: %w", err)
		}
		s, err = m.bring(ctx, from, dir, commit)
	}
	return s, err
}

func (m *modules) bring(ctx context.Context, from Remote, dir string, commit plumbing.Hash) (*store, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	limits := m.job.Limits
	limits.FetchBytes = m.left
	r := remote{job: job{Remote: from, Dir: dir, Limits: limits, Tip: reconcile.Commit(commit.String())}, pinned: true}
	defer r.close()
	if err = r.bring(ctx, s, commit, plumbing.ZeroHash); err == nil {
		r.compact(ctx, s, commit)
	}
	if r.session != nil {
		m.left -= r.session.meter.read.Load()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// tidy deletes the stores that the commit does not need.
func (m *modules) tidy() {
	stores, _ := os.ReadDir(m.job.modulesDir()) // there may be none
	for _, s := range stores {
		if !m.used[s.Name()] {
			_ = os.RemoveAll(filepath.Join(m.job.modulesDir(), s.Name())) // it is only in the way
		}
	}
}

// remoteAt returns the remote at a URL that a commit names. It has the credentials of
// one of those known where it is the same server, asked in the same way; else those
// of the settings for its host.
func (c Checkout) remoteAt(at string, known ...Remote) (Remote, error) {
	if u, err := url.Parse(at); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		u.User = nil // the settings say who asks
		at = u.String()
	}
	to := Remote{Name: known[0].Name, URL: at, Timeout: known[0].Timeout}
	endpoint, err := to.endpoint()
	if err != nil {
		return Remote{}, err
	}
	host := strings.ToLower(endpoint.Host)
	for _, r := range known {
		same, err := r.endpoint()
		if err == nil && same.Protocol == endpoint.Protocol && strings.ToLower(same.Host) == host && portOf(same) == portOf(endpoint) {
			r.URL = at
			return r, nil
		}
	}
	for _, h := range c.Hosts {
		if h.Name != host && h.Name != fmt.Sprintf("%s:%d", host, portOf(endpoint)) {
			continue
		}
		to.Username = h.Username
		switch endpoint.Protocol {
		case "https":
			to.TokenFile, to.CAFile = h.TokenFile, h.CAFile
		case "ssh":
			to.SSHKeyFile, to.KnownHostsFile = h.SSHKeyFile, h.KnownHostsFile
		}
	}
	if endpoint.Protocol == "ssh" && to.SSHKeyFile == "" {
		return Remote{}, fmt.Errorf("there is no key for its host (hint: add [[source.hosts]] with host = %q, ssh_key_file and known_hosts_file)", host)
	}
	return to, nil
}
