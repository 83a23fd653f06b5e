package lab

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	nixosmodule "github.com/infra-agent/infra-agent/nixos-module"
)

//go:embed fleet
var fleetFiles embed.FS

// Repo is the fleet's configuration repository: a working copy of branch main, and the server's side. It is safe for concurrent use.
type Repo struct {
	dir string
	mu  sync.Mutex // guards the working copy
}

func newRepo(dir string) (*Repo, error) {
	r := &Repo{dir: dir}
	if err := writeTree(fleetFiles, "fleet", r.work()); err != nil {
		return nil, err
	}
	if err := writeTree(nixosmodule.Files, ".", filepath.Join(r.work(), "nixos-module")); err != nil {
		return nil, err
	}
	if _, err := r.git("init", "--quiet", "--bare", "--initial-branch=main", r.Path()); err != nil {
		return nil, err
	}
	if _, err := r.git("init", "--quiet", "--initial-branch=main"); err != nil {
		return nil, err
	}
	_, err := r.Commit("The lab's fleet", nil)
	return r, err
}

// Path is the server's side on this machine, where root may clone it and push.
func (r *Repo) Path() string { return filepath.Join(r.served(), "config.git") }

func (r *Repo) work() string   { return filepath.Join(r.dir, "work") }
func (r *Repo) served() string { return filepath.Join(r.dir, "served") }

// Commit writes the files (path to text) on top of the newest commit, pushes main and returns the commit.
func (r *Repo) Commit(message string, files map[string]string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.write(files); err != nil {
		return "", err
	}
	return r.publish(message)
}

func (r *Repo) write(files map[string]string) error {
	for path, text := range files {
		path = filepath.Join(r.work(), path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Testing writes the files on top of the newest commit, pushes that to branch testing alone and returns the commit.
func (r *Repo) Testing(message string, files map[string]string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.write(files); err != nil {
		return "", err
	}
	if err := r.commit(message); err != nil {
		return "", err
	}
	commit, err := r.push("testing")
	if err != nil {
		return "", err
	}
	_, err = r.git("reset", "--quiet", "--hard", "HEAD^")
	return commit, err
}

// Beside makes the files all that a branch has which nobody follows.
func (r *Repo) Beside(branch string, files map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	dir, err := os.MkdirTemp(r.dir, "beside-")
	if err != nil {
		return err
	}
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all"},
		{"commit", "--quiet", "--allow-empty", "--message", "files"},
		{"push", "--quiet", "--force", filepath.Join(r.served(), "config.git"), "HEAD:refs/heads/" + branch},
	} {
		if _, err := gitIn(dir, args...); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// FastForward makes branch main the given commit, which comes after its newest one.
func (r *Repo) FastForward(commit string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.git("merge", "--quiet", "--ff-only", commit); err != nil {
		return err
	}
	_, err := r.push("main")
	return err
}

// Delete removes the files, pushes main and returns the commit.
func (r *Repo) Delete(message string, paths ...string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, path := range paths {
		if err := os.Remove(filepath.Join(r.work(), path)); err != nil {
			return "", err
		}
	}
	return r.publish(message)
}

// Revert pushes a commit that undoes the given one, and returns it.
func (r *Repo) Revert(commit string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.git("revert", "--no-edit", commit); err != nil {
		return "", err
	}
	return r.push("main")
}

// Reset makes main the given commit, backwards too: a force push.
func (r *Repo) Reset(commit string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.git("reset", "--quiet", "--hard", commit); err != nil {
		return err
	}
	_, err := r.push("main")
	return err
}

// DeleteBranch removes main from the server. The next change brings it back.
func (r *Repo) DeleteBranch() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.git("--git-dir", r.Path(), "update-ref", "-d", "refs/heads/main")
	return err
}

// Head is the newest commit of a branch of the server.
func (r *Repo) Head(branch string) (string, error) {
	return r.git("--git-dir", r.Path(), "rev-parse", "refs/heads/"+branch)
}

// Tip is the newest commit.
func (r *Repo) Tip() (string, error) { return r.git("rev-parse", "HEAD") }

// File is the text of a file of the newest commit.
func (r *Repo) File(path string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := os.ReadFile(filepath.Join(r.work(), path))
	return string(text), err
}

// export writes the tree of a commit to dir.
func (r *Repo) export(commit, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(dir, ".tar")
	if _, err := r.git("archive", "--output", archive, commit); err != nil {
		return err
	}
	if out, err := exec.Command("tar", "-x", "-C", dir, "-f", archive).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack commit %s: %w: %s", commit, err, out)
	}
	return os.Remove(archive)
}

func (r *Repo) publish(message string) (string, error) {
	if err := r.commit(message); err != nil {
		return "", err
	}
	return r.push("main")
}

func (r *Repo) commit(message string) error {
	if _, err := r.git("add", "--all"); err != nil {
		return err
	}
	_, err := r.git("commit", "--quiet", "--allow-empty", "--message", message)
	return err
}

func (r *Repo) push(branch string) (string, error) {
	if _, err := r.git("push", "--quiet", "--force", r.Path(), "HEAD:"+branch); err != nil {
		return "", err
	}
	return r.Tip()
}

// git runs git in the working copy and returns what it prints.
func (r *Repo) git(args ...string) (string, error) { return gitIn(r.work(), args...) }

func gitIn(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), gitEnvironment()...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// gitEnvironment makes git independent of the machine's and the user's settings.
func gitEnvironment() []string {
	return []string{
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Lab", "GIT_AUTHOR_EMAIL=lab@example.org",
		"GIT_COMMITTER_NAME=Lab", "GIT_COMMITTER_EMAIL=lab@example.org",
	}
}
