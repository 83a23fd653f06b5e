package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/infra-agent/infra-agent/reconcile"
)

// credentialsOf is where the agent's unit finds its credentials, systemd.exec(5).
const credentialsOf = "/run/credentials/" + AgentUnit + "/"

// named refuses a system whose agent's settings name a file that cannot be there: a
// credential that its unit does not ask for, or a path that the Nix store does not have.
// Any other file may be made by the activation, or a moment later: the trial finds out.
func (n *Node) named(next reconcile.Toplevel, files []string) error {
	unit := n.unitText(next)
	for _, file := range files {
		name, credential := strings.CutPrefix(file, credentialsOf)
		switch {
		case credential && unit != "" && !asksFor(unit, name):
			return fmt.Errorf("the new settings name %s, and %s of the new system asks for no credential %q, so it could not follow its branch (hint: services.infra-agent.credentials.%s = \"/path/of/the/secret\")", file, AgentUnit, name, name)
		case strings.HasPrefix(file, "/nix/store/"):
			if _, err := os.Stat(n.Root + file); os.IsNotExist(err) {
				return fmt.Errorf("the new settings name %s, which the Nix store does not have (hint: it must be a part of the system, as a path or as environment.etc)", file)
			}
		}
	}
	return nil
}

// unitText is the agent's unit of a system, with what overrides it; "" when it has none.
func (n *Node) unitText(t reconcile.Toplevel) string {
	dir := n.Root + string(t) + unitDir
	text, err := os.ReadFile(filepath.Join(dir, AgentUnit))
	if err != nil {
		return ""
	}
	for _, file := range dropIns(dir, AgentUnit) {
		more, _ := os.ReadFile(file)
		text = append(text, more...)
	}
	return string(text)
}

// asksFor reports whether a unit asks for a credential, or for those that match a pattern.
func asksFor(unit, name string) bool {
	for line := range strings.Lines(unit) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ImportCredential":
			return true // whatever the machine was given
		case "LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted":
			if asked, _, _ := strings.Cut(value, ":"); asked == name {
				return true
			}
		}
	}
	return false
}
