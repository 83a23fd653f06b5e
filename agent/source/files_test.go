package source

import (
	"io/fs"
	"strings"
	"testing"
)

func TestFilesThatTheUnitCannotRead(t *testing.T) {
	err := unreadable("token_file", &fs.PathError{Op: "open", Path: "/root/token", Err: fs.ErrPermission})
	if want := "read token_file: open /root/token: permission denied (hint: the agent's unit sees no homes"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	err = unreadable("token_file", &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist})
	if strings.Contains(err.Error(), "hint") {
		t.Errorf("%v, want no hint: nobody forbids it", err)
	}
}
