package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/manifest"
	"github.com/infra-agent/infra-agent/reconcile"
)

func registryManifestCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "manifest [CHECKOUT]", Short: "Evaluate every managed node of a commit, and write what their systems are", Args: cobra.MaximumNArgs(1),
		Long: `Evaluate every managed node of a commit, and write what their systems are.

CHECKOUT is a git checkout, "." without it; its committed files are evaluated as a node
evaluates them, with the settings of --config where that file is there: they must be those
of the nodes, as far as source.subdir, source.expose_revision, registry and nix go. The
manifest is printed; with --out it is written as DIR/COMMIT.json, and for each node as
DIR/COMMIT/NODE.json; with --push these are committed to a branch of the remote "origin",
beside what is there. docs/manifests.md says how nodes get them.

Nodes are evaluated beside each other as far as --memory goes. One that needs more than its
share is evaluated by itself, with all of it. Every node that fails is told, and nothing is
written then but with --keep-going; the exit code is 1 in any case.`,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := manifestRunOf(c, args)
			if err != nil {
				return err
			}
			m, failures, err := r.run(c.Context())
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(failures)) {
				fmt.Fprintf(r.log, "node %s: %v\n", name, failures[name])
			}
			failed := error(nil)
			if len(failures) > 0 {
				failed = fmt.Errorf("%s of %d cannot be deployed", counted(len(failures), "node"), len(failures)+len(m.Nodes))
			}
			if failed != nil && !r.keepGoing || len(m.Nodes) == 0 {
				return failed
			}
			return errors.Join(r.write(c.Context(), c.OutOrStdout(), m), failed)
		},
	}
	c.Flags().String("commit", "HEAD", "commit to evaluate")
	c.Flags().Bool("build", false, "also build every system, or get it from this machine's binary caches")
	c.Flags().String("out", "", "directory to write the manifests to; it is made where it is needed")
	c.Flags().String("push", "", `branch to push the manifests to, such as "manifests"`)
	c.Flags().Int("keep", 100, "pushes whose manifests stay in the branch, 0 for all")
	c.Flags().String("sign", "", "SSH key to sign with, as for ssh-keygen -Y sign: a private key, or a public one whose private one ssh-agent has")
	c.Flags().String("since", "", "manifest to take from what is known not to have changed: nodes of the same commit,\nor, where the repository is no flake (nix.file), of the same files")
	c.Flags().String("memory", "", `memory for all evaluations together, such as "12GiB" (default: three quarters of what is available)`)
	c.Flags().Bool("keep-going", false, "write the manifest without the nodes that fail")
	return c
}

// A manifestRun is one call of "registry manifest".
type manifestRun struct {
	settings         config.Settings
	checkout, commit string
	build, keepGoing bool
	out, key, branch string
	keep             int                // pushes whose manifests stay in the branch; 0: all
	since            *manifest.Manifest // nil: none
	memory           uint64             // bytes
	created          time.Time
	log              io.Writer
}

func manifestRunOf(c *cobra.Command, args []string) (r manifestRun, err error) {
	r.log = c.ErrOrStderr()
	path := "."
	if len(args) == 1 {
		path = args[0]
	}
	if r.checkout, err = filepath.Abs(path); err != nil {
		return r, err
	}
	r.commit, _ = c.Flags().GetString("commit")
	r.build, _ = c.Flags().GetBool("build")
	r.keepGoing, _ = c.Flags().GetBool("keep-going")
	r.out, _ = c.Flags().GetString("out")
	r.key, _ = c.Flags().GetString("sign")
	r.branch, _ = c.Flags().GetString("push")
	if r.key != "" && r.out == "" && r.branch == "" {
		return r, usageError(c, errors.New("--sign writes signatures beside the manifests, and neither --out nor --push says where"))
	}
	if r.keep, _ = c.Flags().GetInt("keep"); r.keep < 0 {
		return r, usageError(c, errors.New("--keep is less than 0"))
	}
	if r.memory, err = memoryOf(c); err != nil {
		return r, usageError(c, err)
	}
	if r.created, err = createdAt(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return r, err
	}
	file, _ := c.Flags().GetString("config")
	if r.settings, err = config.Load(file); errors.Is(err, fs.ErrNotExist) {
		r.settings, err = config.Default(), nil
	}
	if err != nil {
		return r, err
	}
	if s := r.settings.Source; s.LFS || s.Submodules == config.SubmodulesFetch {
		return r, errors.New("a manifest is made of a checkout's own files, and source.lfs or source.submodules has nodes fetch others (hint: such nodes evaluate by themselves)")
	}
	if since, _ := c.Flags().GetString("since"); since != "" {
		data, err := os.ReadFile(since)
		if err != nil {
			return r, fmt.Errorf("read the earlier manifest: %w", err)
		}
		if r.since, err = manifest.Parse(data); err != nil {
			return r, fmt.Errorf("%s: %w", since, err)
		}
	}
	return r, nil
}

// createdAt is now, or the time at which a build that is to be reproducible takes place:
// https://reproducible-builds.org/specs/source-date-epoch/
func createdAt(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Now().UTC().Truncate(time.Second), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: want seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func memoryOf(c *cobra.Command) (uint64, error) {
	given, _ := c.Flags().GetString("memory")
	if given == "" {
		return availableMemory() / 4 * 3, nil
	}
	var size config.Size
	if err := size.UnmarshalText([]byte(given)); err != nil {
		return 0, fmt.Errorf("--memory: %w", err)
	}
	return uint64(size), nil
}

// write prints the manifest, or writes it and those of its nodes into a directory, and pushes
// what is there.
func (r manifestRun) write(ctx context.Context, out io.Writer, m *manifest.Manifest) error {
	text, err := m.Encode()
	switch {
	case err != nil:
		return fmt.Errorf("write the manifest: %w", err)
	case r.out == "" && r.branch == "":
		_, err := out.Write(text)
		return err
	case r.branch == "":
		return r.files(ctx, m, text)
	}
	made, err := os.MkdirTemp("", "infra-agent-manifest-") // of this commit alone, whatever is in --out
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	defer func() { _ = os.RemoveAll(made) }()
	if r.out != "" {
		if err := r.files(ctx, m, text); err != nil {
			return err
		}
	}
	pushed := r
	pushed.out = made
	if err := pushed.files(ctx, m, text); err != nil {
		return err
	}
	return r.push(ctx, made, "manifests of "+string(m.Commit))
}

// files writes the manifest and those of its nodes into the directory, with their signatures.
func (r manifestRun) files(ctx context.Context, m *manifest.Manifest, text []byte) error {
	dir := filepath.Join(r.out, string(m.Commit))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	written := []string{filepath.Join(r.out, manifest.FileName(m.Commit, ""))}
	if err := os.WriteFile(written[0], text, 0o644); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	singles, err := m.Singles()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Nodes)) {
		only, err := singles.Of(name)
		if err != nil {
			return err
		}
		if text, err = only.Encode(); err != nil {
			return fmt.Errorf("write the manifest of %s: %w", name, err)
		}
		file := filepath.Join(r.out, filepath.FromSlash(manifest.FileName(m.Commit, name)))
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return fmt.Errorf("write the manifest of %s: %w", name, err)
		}
		written = append(written, file)
	}
	return r.sign(ctx, written)
}

// sign has ssh-keygen sign files: it knows keys of ssh-agent and of security keys, and no
// program that runs on nodes needs to know how to sign.
func (r manifestRun) sign(ctx context.Context, files []string) error {
	const atOnce = 1000 // paths: a command line has its limits
	for _, file := range files {
		if err := os.Remove(file + manifest.Suffix); err != nil && !errors.Is(err, fs.ErrNotExist) { // ssh-keygen asks before it replaces one
			return fmt.Errorf("sign: %w", err)
		}
	}
	if r.key == "" {
		return nil
	}
	for some := range slices.Chunk(files, atOnce) {
		args := append([]string{"ssh-keygen", "-q", "-Y", "sign", "-n", manifest.Namespace, "-f", r.key}, some...)
		if _, err := command.Run(ctx, command.Command{Args: args}); err != nil {
			return fmt.Errorf("sign with %s: %w (hint: a key with a passphrase has to be in ssh-agent, and --sign names its public half)", r.key, err)
		}
	}
	return nil
}

// of returns the commit and its tree, by git.
func (r manifestRun) of(ctx context.Context) (reconcile.Commit, string, error) {
	commit, err := revParse(ctx, r.checkout, r.commit+"^{commit}")
	if err != nil {
		return "", "", fmt.Errorf("%s has no commit %s: %w (hint: name a git checkout; a shallow clone lacks older commits)", r.checkout, r.commit, err)
	}
	tree, err := revParse(ctx, r.checkout, commit+"^{tree}")
	if err != nil {
		return "", "", err
	}
	c, err := reconcile.ParseCommit(commit)
	return c, tree, err
}
