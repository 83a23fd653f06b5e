package source

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
)

func TestUnreachedSaysWhatToDo(t *testing.T) {
	lookup, certificate := &net.DNSError{Err: "no such host", Name: "git.lab"}, &tls.CertificateVerificationError{Err: errors.New("unknown authority")}
	for _, c := range []struct {
		remote Remote
		err    error
		want   string
	}{
		{Remote{Name: "forge"}, lookup, "lookup git.lab: no such host (hint: does this node have a name server that knows it?)"},
		{Remote{Name: "forge"}, certificate, "tls: failed to verify certificate: unknown authority (hint: name its authority in ca_file of remote forge, or in security.pki of NixOS)"},
		{Remote{CAFile: "/etc/ca.pem"}, certificate, "tls: failed to verify certificate: unknown authority (hint: is its authority in /etc/ca.pem?)"},
		{Remote{}, errors.New("connection refused"), "connection refused"},
	} {
		if got := c.remote.unreached(c.err); got.Error() != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
