package source

import (
	"fmt"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// A signersFile is what a commit has at the path.
type signersFile struct {
	keys *signature.Keys
	bad  error // why it is of no use; nil: keys are there
}

const maxSigners = 1 << 20 // bytes: some thousands of keys

// file reads a commit's file; missing is what the store lacks for it.
func (a *authorizations) file(name plumbing.Hash) (f signersFile, missing plumbing.Hash, err error) {
	if known, is := a.files[name]; is {
		return known, missing, nil
	}
	commit, err := a.store.commit(name)
	if err != nil {
		return f, missing, err
	}
	blob, missing, err := a.find(commit.TreeHash)
	if err != nil || !missing.IsZero() {
		if _, odd := reconcile.RejectedBy(err); odd {
			f.bad = err
			a.files[name] = f
			return f, missing, nil
		}
		return f, missing, err
	}
	f, is := a.keys[blob]
	if !is {
		if f, err = a.load(blob); err != nil {
			return f, missing, err
		}
		a.keys[blob] = f
	}
	if f.bad == nil && !f.keys.AnySigner(commit.Committer.When) {
		f.bad = fmt.Errorf("%s allows nobody to sign for git any more", a.path)
	}
	a.files[name] = f
	return f, missing, nil
}

// find returns the file's object. It is refused where the tree has no such file.
func (a *authorizations) find(tree plumbing.Hash) (blob, missing plumbing.Hash, err error) {
	at, r := tree, &repository{store: a.store}
	steps := strings.Split(a.path, "/")
	for i, step := range steps {
		dir := path.Join(steps[:i]...)
		if there, err := a.store.has(at); err != nil || !there {
			return blob, at, err
		}
		entries, err := r.tree(dir, at)
		if err != nil {
			return blob, missing, err
		}
		if !asGitWrites(entries, at) {
			return blob, missing, refused("directory %q is written as git does not write it", dir)
		}
		var found []object.TreeEntry
		for _, e := range entries {
			if e.Name == step {
				found = append(found, e)
			}
		}
		last := i == len(steps)-1
		switch {
		case len(found) == 0:
			return blob, missing, refused("%s is not there", a.path)
		case len(found) > 1:
			return blob, missing, refused("%q is in the tree twice", path.Join(dir, step))
		case last && (!found[0].Mode.IsFile() || found[0].Mode == filemode.Symlink):
			return blob, missing, refused("%q is no file", a.path)
		case !last && found[0].Mode != filemode.Dir:
			return blob, missing, refused("%q is no directory", path.Join(dir, step))
		}
		at = found[0].Hash
	}
	if there, err := a.store.has(at); err != nil || !there {
		return blob, at, err
	}
	return at, missing, nil
}

// load reads allowed signers as the node's own files are read.
func (a *authorizations) load(blob plumbing.Hash) (f signersFile, err error) {
	size, err := a.store.EncodedObjectSize(blob)
	if err != nil {
		return f, &damagedError{fmt.Errorf("blob %s: %w", blob, err)}
	}
	if size > maxSigners {
		f.bad = fmt.Errorf("%s is larger than %d bytes", a.path, maxSigners)
		return f, nil
	}
	data, err := a.store.raw(plumbing.BlobObject, blob)
	if err != nil {
		return f, err
	}
	files := signature.Files{AllowedSigners: a.path, Revocation: a.remote.Trust.Files.Revocation}
	f.keys, f.bad = signature.Load(files, func(path string) ([]byte, error) {
		if path == a.path {
			return data, nil
		}
		return a.revoke, nil
	})
	return f, nil
}
