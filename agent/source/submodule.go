package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

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

// modules fetches the submodules of one commit, each repository into a store of its
// own. A commit of a submodule is what the tree says, down to the last bit: that the
// tip was verified vouches for it.
type modules struct {
	job  job   // of the tip
	left int64 // bytes that may still be fetched
	done int

	stores map[string]*store // that are open, by their directories
}

func newModules(j job) *modules {
	return &modules{job: j, left: j.Limits.FetchBytes, stores: map[string]*store{}}
}

// repository plans the tree of a commit, and the trees of its submodules where these are
// to be fetched.
func (w *writer) repository(ctx context.Context, r *repository, name plumbing.Hash, deep int) error {
	commit, err := r.store.commit(name)
	if err != nil {
		return err
	}
	raw, err := r.store.raw(plumbing.CommitObject, name)
	if err != nil {
		return err
	}
	if r.root == "." {
		w.proof.Commit = raw
	} else {
		w.proof.Links = append(w.proof.Links, linked{[]byte(r.root), name.String(), raw})
	}
	w.repositories = append(w.repositories, r)
	start := len(w.plan)
	if err := w.directory(r, r.root, commit.TreeHash); err != nil {
		return err
	}
	if w.checkout.Submodules != SubmodulesFetch {
		return nil
	}
	var urls map[string]string
	for _, p := range w.plan[start:] {
		if p.mode != filemode.Submodule {
			continue
		}
		if urls == nil {
			if urls, err = w.modulesOf(r); err != nil {
				return err
			}
		}
		if w.modules.done++; w.modules.done > maxModules || deep >= maxModulesDeep {
			return refused("submodule %q: the commit has more than %d submodules, or more than %d in each other", p.path, maxModules, maxModulesDeep)
		}
		if err := w.submodule(ctx, p, urls, deep+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) modulesOf(r *repository) (map[string]string, error) {
	text, err := w.small(r, ".gitmodules")
	if err != nil {
		return nil, err
	}
	urls, err := parseModules(text)
	if err != nil {
		return nil, refused("%w", err)
	}
	return urls, nil
}

// submodule fetches what a tree names, and plans it.
func (w *writer) submodule(ctx context.Context, p planned, urls map[string]string, deep int) error {
	at, named := urls[strings.TrimPrefix(p.path, p.from.root+"/")]
	if !named {
		return refused("submodule %q is not in .gitmodules (hint: git submodule add, or git rm --cached)", p.path)
	}
	at, err := resolveModule(p.from.remote.URL, at)
	if err != nil {
		return refused("submodule %q: %w", p.path, err)
	}
	remote, err := w.checkout.remoteAt(at, p.from.remote, w.modules.job.Remote)
	if err != nil {
		return fmt.Errorf("submodule %q: %w", p.path, err)
	}
	s, err := w.modules.store(ctx, remote, p.hash)
	if err == nil {
		err = w.repository(ctx, &repository{store: s, remote: remote, root: p.path}, p.hash, deep)
	}
	if err != nil {
		return fmt.Errorf("submodule %q at %s: %w", p.path, remote.URL, err)
	}
	return nil
}

// store returns the store that has the commit, which is fetched where it is not there.
// A store that cannot be read, or leads to more than a fetch may bring, is made anew.
func (m *modules) store(ctx context.Context, from Remote, commit plumbing.Hash) (*store, error) {
	sum := sha256.Sum256([]byte(from.URL))
	dir := filepath.Join(m.job.modulesDir(), hex.EncodeToString(sum[:8]))
	s, open := m.stores[dir]
	for again := !open; ; again = false {
		err := error(nil)
		if s == nil {
			s, err = openStore(dir)
		}
		if err == nil {
			m.stores[dir] = s
			err = m.bring(ctx, s, from, commit)
		}
		if _, damaged := errors.AsType[*damagedError](err); !damaged || !again {
			return s, err
		}
		if s != nil {
			s.close()
			s = nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("delete the git store: %w", err)
		}
	}
}

func (m *modules) bring(ctx context.Context, s *store, from Remote, commit plumbing.Hash) error {
	limits := m.job.Limits
	limits.FetchBytes = m.left
	r := remote{job: job{Remote: from, Limits: limits, Tip: reconcile.Commit(commit.String())}, pinned: true}
	defer r.close()
	err := r.bring(ctx, s, commit, plumbing.ZeroHash)
	if r.session != nil {
		m.left -= r.session.meter.read.Load()
	}
	return err
}

func (m *modules) close() {
	for _, s := range m.stores {
		s.close()
	}
}

// tidy deletes the stores that the commit does not need, and makes the others smaller.
func (m *modules) tidy() {
	for _, s := range m.stores {
		if last, err := s.Reference(fetched); err == nil {
			s.compact(last.Hash())
		}
	}
	stores, _ := os.ReadDir(m.job.modulesDir()) // there may be none
	for _, s := range stores {
		dir := filepath.Join(m.job.modulesDir(), s.Name())
		if m.stores[dir] == nil {
			_ = os.RemoveAll(dir) // it is only in the way
		}
	}
}

// remoteAt returns the remote at a URL that a commit names. It has the credentials of
// one of those known where it is the same server, asked in the same way; else those
// of the settings for its host.
func (c Checkout) remoteAt(at string, known ...Remote) (Remote, error) {
	if u, err := url.Parse(at); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		u.User = nil // credentials are those of the settings
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
