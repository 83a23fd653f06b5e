package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/infra-agent/infra-agent/agent/command"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/handover"
	"github.com/infra-agent/infra-agent/agent/source"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// followPort knows what this agent follows its branch with, and asks the old system's
// agent whether it could.
type followPort struct {
	path     string // of the settings file
	settings config.Settings
	self     string
	system   *system.Node
	given    credentials
}

// FollowState reads afresh what a system may change of the way to its own fix.
func (p followPort) FollowState() reconcile.FollowState {
	short, full := hostnames()
	nixFiles := nixFiles("/etc/nix/nix.conf", includesDeep)
	files := append([]string{"/etc/nix/machines", p.path}, nixFiles...)
	for _, unit := range []string{system.AgentUnit, "nix-daemon.socket", "nix-daemon.service"} {
		files = append(files, system.UnitFiles(unit)...)
	}
	files = append(files, slices.Sorted(maps.Values(p.given.files))...)
	l := p.settings.Limits
	s := reconcile.FollowState{
		Print: printOf(append(files, p.settings.Files()...), p.self, short, full, toolPath("nix"), toolPath("nixos-rebuild"), buildUsers("/etc/group")),
		Nix:   printOf(nil, evaluates(nixFiles), fmt.Sprint(p.settings.Nix, l.Evaluate, l.EvaluateMemory)),
	}
	switch next, err := config.Load(p.path); {
	case err != nil:
		s.Stale = "the settings on disk cannot be used: " + err.Error()
	case !reflect.DeepEqual(inPlace(next, p.settings), p.settings):
		s.Stale = "the settings on disk are not in force yet"
	default:
		s.Stale, _ = p.given.stale()
	}
	return s
}

// includesDeep is how deep files of Nix's settings may include others for their contents to be seen.
const includesDeep = 5

// nixFiles returns a file of Nix's settings and those that it includes, nix.conf(5).
func nixFiles(file string, deep int) []string {
	files := []string{file}
	content, err := os.ReadFile(file)
	if err != nil || deep == 0 {
		return files
	}
	for line := range strings.Lines(string(content)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "include" && f[0] != "!include" {
			continue
		}
		other := f[1]
		if !filepath.IsAbs(other) {
			other = filepath.Join(filepath.Dir(file), other)
		}
		files = append(files, nixFiles(other, deep-1)...)
	}
	return files
}

// evaluates returns the lines of files of Nix's settings that may matter to an evaluation. NixOS
// names a shell for builds there, by a path that each update changes.
func evaluates(files []string) string {
	var all strings.Builder
	for _, file := range files {
		content, _ := os.ReadFile(file) // what cannot be read says nothing
		for line := range strings.Lines(string(content)) {
			if !strings.HasPrefix(line, "sandbox-paths") && !strings.HasPrefix(line, "extra-sandbox-paths") {
				all.WriteString(line)
			}
		}
	}
	return all.String()
}

// buildUsers returns who builds for Nix's daemon, as group(5) has the group that NixOS gives it.
func buildUsers(file string) string {
	groups, _ := os.ReadFile(file) // without it nobody is in any
	for line := range strings.Lines(string(groups)) {
		if strings.HasPrefix(line, "nixbld:") {
			return line
		}
	}
	return ""
}

// printOf is equal for files of equal names and contents, and equal texts.
func printOf(files []string, texts ...string) string {
	print := sha256.New()
	for _, text := range texts {
		note(print, text)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		note(print, file)
		note(print, string(content))
		note(print, fmt.Sprint(err))
	}
	return hex.EncodeToString(print.Sum(nil))
}

// note adds a text to a hash, so that no two lists of texts are alike.
func note(to hash.Hash, text string) { fmt.Fprintf(to, "%d %s\n", len(text), text) }

// toolPath returns where a program is in the end; "" where there is none.
func toolPath(name string) string {
	path, err := command.Path(name)
	if err != nil {
		return ""
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return resolved
}

// AskOld has the old system's agent poll with the old system's settings, in a unit of its
// own. An agent that does not know the question has not answered.
func (p followPort) AskOld(ctx context.Context, d reconcile.Deployment) (reconcile.OldPoll, error) {
	old := p.system.AgentOf(d.Old.Toplevel)
	if old == "" {
		return reconcile.OldSilent, nil
	}
	settings := filepath.Join(string(d.Old.Toplevel), system.SettingsFile)
	if lost(settings) {
		return reconcile.OldLost, nil
	}
	_, err := p.system.Run(ctx, look, command.Command{Args: handover.PollArgs(old, settings), Dir: "/"})
	if _, ran := errors.AsType[*command.ExitError](err); ran {
		return reconcile.OldSilent, nil
	}
	return reconcile.OldAnswered, err
}

// lost reports whether a file with which settings reach their remotes is gone, or empty as
// the copy of a credential that is gone is. What settings of another version name is not
// always known.
func lost(settings string) bool {
	s, err := config.Load(settings)
	if err != nil {
		return false
	}
	s = config.Settings{Source: config.Source{Remotes: s.Source.Remotes}}
	return slices.ContainsFunc(s.Files(), func(file string) bool {
		content, err := os.ReadFile(file)
		return errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.TrimSpace(content)) == 0
	})
}

// pollOnce asks the remotes of a settings file once, and says whether one gave a commit.
func pollOnce(ctx context.Context, path string) error {
	s, err := config.Load(path)
	if err != nil {
		return err
	}
	self, err := system.Self()
	if err != nil {
		return err
	}
	bus := &system.Bus{}
	defer bus.Close()
	opts := sourceOptions(s)
	opts.Unit = node{system: &system.Node{Bus: bus}, self: self}.fetchUnit(s.Limits.Fetch)
	ctx, cancel := context.WithTimeoutCause(ctx, reconcile.OldPollWithin, fmt.Errorf("no answer within %v", reconcile.OldPollWithin))
	defer cancel()
	var all error
	for _, poll := range source.NewPoller(opts).Once(ctx) {
		if poll.Err == nil {
			return nil
		}
		all = errors.Join(all, poll.Err)
	}
	return all
}
