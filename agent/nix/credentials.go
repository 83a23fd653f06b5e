package nix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Credentials are files with which inputs and binary caches are reached. Only their paths
// are handed on: no secret is in an argument, in the environment or in Nix's log.
type Credentials struct {
	Netrc        string // netrc(5): for Nix, and for git below it
	AccessTokens string // lines of nix.conf(5)
	SSHKey       string // for inputs over ssh
	KnownHosts   string // for inputs over ssh
	SSHConfig    string // ssh_config(5), for inputs over ssh

	Home string // directory in which git looks for a .netrc; it is made where it is needed
}

// settings are lines of nix.conf(5). The daemon heeds them, since root is trusted. A file
// that is not there ends each evaluation with an error that names it.
func (c Credentials) settings() []string {
	var lines []string
	if c.AccessTokens != "" {
		lines = append(lines, "include "+c.AccessTokens)
	}
	if c.Netrc != "" {
		lines = append(lines, "netrc-file = "+c.Netrc)
	}
	return lines
}

// environment is that of git, which Nix runs for inputs of the kinds git+https and git+ssh.
func (c Credentials) environment() ([]string, error) {
	var env []string
	if c.Netrc != "" {
		if err := link(c.Netrc, filepath.Join(c.Home, ".netrc")); err != nil {
			return nil, fmt.Errorf("hand nix.netrc_file to git: %w", err)
		}
		env = append(env, "HOME="+c.Home)
	}
	var options []string
	if c.SSHConfig != "" {
		options = append(options, "-F", c.SSHConfig)
	}
	if c.SSHKey != "" {
		options = append(options, "-i", c.SSHKey, "-o", "IdentitiesOnly=yes")
	}
	if c.KnownHosts != "" {
		options = append(options, "-o", "UserKnownHostsFile="+c.KnownHosts, "-o", "GlobalKnownHostsFile=/dev/null")
	}
	if options != nil {
		env = append(env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes -o StrictHostKeyChecking=yes "+strings.Join(options, " "))
	}
	return env, nil
}

// link makes a symbolic link, and its directory, which is root's alone.
func link(to, path string) error {
	if now, err := os.Readlink(path); err == nil && now == to {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(to, path)
}
