package nix

import (
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/reconcile"
)

// What Nix 2.26.3 says, of a cache that lacks the path, has it without a signature, is not
// there, or has lost the content.
const (
	copyFailed   = `@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m build of \u001b[35;1m'/nix/store/9cnxf0gl0bwmzmmaiclwg9gqhh8gw9l8-y'\u001b[0m failed","raw_msg":"x"}`
	copyMissing  = `@nix {"action":"msg","level":3,"msg":"don't know how to build these paths:"}` + "\n" + `@nix {"action":"msg","level":3,"msg":"  /nix/store/9cnxf0gl0bwmzmmaiclwg9gqhh8gw9l8-y"}` + "\n"
	copyUnsigned = `@nix {"action":"msg","level":3,"msg":"this path will be fetched (0.00 MiB download, 0.00 MiB unpacked):"}
@nix {"action":"msg","level":3,"msg":"  /nix/store/9cnxf0gl0bwmzmmaiclwg9gqhh8gw9l8-y"}
@nix {"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m ignoring substitute for '/nix/store/9cnxf0gl0bwmzmmaiclwg9gqhh8gw9l8-y' from 'file:///cache', as it's not signed by any of the keys in 'trusted-public-keys'"}
`
	copyUnreachable = `@nix {"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m \u001b[31;1merror:\u001b[0m unable to \u001b[35;1mdownload\u001b[0m '\u001b[35;1mhttp://127.0.0.1:1/nix-cache-info\u001b[0m': \u001b[35;1mCould not connect to server\u001b[0m (\u001b[35;1m7\u001b[0m) \u001b[35;1mFailed to connect to 127.0.0.1 port 1 after 0 ms: Could not connect to server\u001b[0m; retrying in 336 ms"}
@nix {"action":"msg","column":null,"file":null,"level":1,"line":null,"msg":"\u001b[35;1mwarning:\u001b[0m unable to \u001b[35;1mdownload\u001b[0m '\u001b[35;1mhttp://127.0.0.1:1/nix-cache-info\u001b[0m': \u001b[35;1mCould not connect to server\u001b[0m (\u001b[35;1m7\u001b[0m)","raw_msg":"x"}
`
	copyBroken = `@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m file '\u001b[35;1mnar/0kwnzfnh.nar.xz\u001b[0m' does not exist in binary cache"}` + "\n"
)

func TestCopy(t *testing.T) {
	const top = "/nix/store/9cnxf0gl0bwmzmmaiclwg9gqhh8gw9l8-y"
	roots := t.TempDir()
	calls := programs(t, map[string]string{"nix-store": `echo '@nix {"action":"start","id":1,"type":103,"fields":[]}' >&2
echo '@nix {"action":"result","id":1,"type":105,"fields":[1,2,0,0]}' >&2`})
	var last reconcile.Progress
	if err := (&Nix{Roots: roots}).Copy(t.Context(), top, "built", func(p reconcile.Progress) { last = p }); err != nil || last.Copied != 1 || last.ToCopy != 2 {
		t.Errorf("Copy = %v, progress %+v, want 1 of 2 paths copied", err, last)
	}
	called(t, calls(), "nix-store [--realise] ["+top+"] [--add-root] ["+roots+"/built] [--log-format] [internal-json] [-v]"+
		" [--option] [narinfo-cache-negative-ttl] [0] [--option] [narinfo-cache-positive-ttl] [0]")
	for _, c := range []struct{ said, want string }{
		{copyMissing, "no binary cache of this node has " + top + " (hint: have it built, and copied there)"},
		{copyUnsigned, "ignoring substitute for '" + top + "' from 'file:///cache', as it's not signed by any of the keys in 'trusted-public-keys' (hint: sign it there"},
		{copyUnreachable + copyMissing, "unable to download 'http://127.0.0.1:1/nix-cache-info': Could not connect to server (7)"},
		{copyBroken, "file 'nar/0kwnzfnh.nar.xz' does not exist in binary cache"},
		{"", "build of '" + top + "' failed"},
	} {
		programs(t, map[string]string{"nix-store": "cat >&2 <<'E'\n" + c.said + copyFailed + "\nE\nexit 1"})
		err := (&Nix{Roots: roots}).Copy(t.Context(), top, "built", func(reconcile.Progress) {})
		if err == nil || !strings.HasPrefix(err.Error(), "copy "+top+": "+c.want) {
			t.Errorf("Copy = %v, want an error that says %q", err, c.want)
		}
		if _, rejected := reconcile.RejectedBy(err); rejected {
			t.Errorf("%v is held against the commit", err)
		}
	}
}
