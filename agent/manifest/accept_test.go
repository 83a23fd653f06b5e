package manifest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/agent/signature"
	"github.com/infra-agent/infra-agent/reconcile"
)

// signers is a verifier for whom the signature is the signer's name.
type signers string

func (s signers) VerifyFile(data, sig []byte, namespace string, at time.Time) (string, error) {
	switch {
	case namespace != "infra-agent-manifest" || !at.Equal(two().Created) || !bytes.HasPrefix(data, []byte(`{"schema":1,`)):
		return "", errors.New("asked for something else")
	case string(sig) != string(s):
		return "", signature.ErrUnknownKey
	}
	return string(s), nil
}

func TestAccept(t *testing.T) {
	older := reconcile.Commit("1111111111111111111111111111111111111111")
	right := Source{Commit: commit, Tree: tree}
	dns := Machine{Node: "dns-01", Configuration: "dns-01", System: "x86_64-linux"}
	for _, c := range []struct {
		name string
		sig  string
		of   Source
		who  Machine
		says string // "": it is accepted
	}{
		{"the very commit", "ann", right, dns, ""},
		{"a configuration of another name", "ann", right, Machine{"web-01", "web", "aarch64-linux"}, ""},
		{"a machine of unknown kind", "ann", right, Machine{"web-01", "web", ""}, ""},
		{"another commit", "ann", Source{Commit: older, Tree: tree}, dns, "the manifest is of another commit: it says 0f1e2d3c, and 11111111 is wanted"},
		{"an older one", "ann", Source{older, tree, []reconcile.Commit{commit, older}}, dns, "the manifest is of 0f1e2d3c, which is older than 11111111"},
		{"another tree", "ann", Source{Commit: commit, Tree: string(older)}, dns, "the manifest is of another tree"},
		{"a stranger's signature", "eve", right, dns, "the manifest's signature: signed by a key that is not allowed"},
		{"a missing node", "ann", right, Machine{"mail-01", "mail-01", "x86_64-linux"}, `the manifest has no node "mail-01"`},
		{"another kind of machine", "ann", right, Machine{"dns-01", "dns-01", "aarch64-linux"}, "the manifest says that node dns-01 is x86_64-linux, and this machine is aarch64-linux"},
		{"another configuration", "ann", right, Machine{"dns-01", "web", "x86_64-linux"}, `the manifest has the configuration "dns-01" for node dns-01, and this one uses "web"`},
		{"the node's name for another configuration", "ann", right, Machine{"web-01", "web-01", "aarch64-linux"}, `the manifest has the configuration "web" for node web-01`},
	} {
		var got Node
		m, signer, err := Open([]byte(twoText), []byte(c.sig), signers("ann"), c.of)
		if err == nil {
			got, err = m.For(c.who)
		}
		switch {
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %+v, %v, want an error that says %q", c.name, got, err, c.says)
		case c.says == "" && (err != nil || signer != "ann" || got.Toplevel != two().Nodes[c.who.Node].Toplevel || got.Configuration != c.who.Configuration):
			t.Errorf("%s: got %+v of %s, %v, want the node's", c.name, got, signer, err)
		}
	}
	if m, _, err := Open([]byte(twoText[:100]), []byte("ann"), signers("ann"), right); err == nil {
		t.Errorf("half a manifest is accepted: %+v", m)
	}
}
