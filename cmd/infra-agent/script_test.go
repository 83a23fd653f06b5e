package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// The agent starts itself through /proc/self/exe, which here is the test.
	if len(os.Args) > 1 && os.Args[1] == "fetch-child" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"infra-agent": main})
}

// TestScripts plays testdata/script/*.txtar with the real program. Beside the
// commands of testscript there are
//
//	exits N PROGRAM ARGUMENT…   runs a program, which must exit N; then "stdout" and "stderr" look at it
//	seal RECORD FILE            makes a state.json of a record's JSON
//	told TEXT                   waits until the agent has told systemd TEXT
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "seal": seal, "told": told,
		},
		Setup: func(env *testscript.Env) error {
			path := filepath.Join(env.WorkDir, "notify")
			conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				return err
			}
			env.Defer(func() { _ = conn.Close() })
			env.Setenv("NOTIFY_SOCKET", path)
			env.Values[notifyKey{}] = conn
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or each program sleeps a second at its end
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "nixos":
				_, err := os.Stat("/run/current-system")
				return err == nil, nil
			case "root":
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N PROGRAM ARGUMENT…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as testscript returns it
		got = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("%s exited %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// seal computes the checksum by itself: SHA-256 of the record without white space.
func seal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: seal RECORD FILE")
	}
	var record bytes.Buffer
	ts.Check(json.Compact(&record, []byte(ts.ReadFile(args[0]))))
	text := fmt.Sprintf(`{"schema":1,"min_reader":1,"checksum":"sha256:%x","record":%s}`, sha256.Sum256(record.Bytes()), record.Bytes())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// notifyKey finds the socket that the agent tells its state to.
type notifyKey struct{}

func told(ts *testscript.TestScript, _ bool, args []string) {
	conn := ts.Value(notifyKey{}).(*net.UnixConn)
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		ts.Check(err)
		if strings.Contains(string(buf[:n]), strings.Join(args, " ")) {
			return
		}
	}
}
