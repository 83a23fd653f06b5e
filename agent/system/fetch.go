package system

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/reconcile"
)

// FetchDir is the one directory that a [FetchUnit] may write to; it outlives the unit.
const FetchDir = "/var/lib/private/" + fetchUser

const (
	fetchUser   = "infra-agent-fetch"
	fetchMemory = 512 << 20 // bytes: two versions of the largest object, and what go-git makes of them
	fetchTasks  = 64
)

// A FetchUnit is work on what strangers send, in a unit without any right: a user
// of its own, no bus, no Nix, one directory.
type FetchUnit struct {
	Exec        []string
	Credentials map[string]string // files that the unit cannot read, by the name of the copy that systemd makes of them
	Limit       time.Duration
	Writes      bool // to [FetchDir]; else to nothing
	Stdin       []byte
	Stderr      func(line string)
}

// Fetch runs u, and returns its standard output, at most 1 MiB, whatever its exit
// status is. When ctx ends, the unit is killed.
func (n *Node) Fetch(ctx context.Context, u FetchUnit) ([]byte, error) {
	name := fetchUser + "-" + strings.ToLower(rand.Text()[:8]) + ".service"
	var theirs, ours []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	defer func() { closeAll(theirs) }()
	defer func() { closeAll(ours) }()
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		if i == 0 {
			theirs, ours = append(theirs, r), append(ours, w)
		} else {
			theirs, ours = append(theirs, w), append(ours, r)
		}
	}
	err := n.Bus.call(ctx, func(ctx context.Context, c *dbus.Conn) error {
		_, err := c.StartTransientUnitContext(ctx, name, "fail", u.properties(theirs), nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	closeAll(theirs)
	theirs = nil
	stop := context.AfterFunc(ctx, func() { n.kill(name) })
	defer stop()
	out, err := converse(u, ours[0], ours[1], ours[2])
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		n.kill(name)
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// kill ends the unit's processes; it may have ended.
func (n *Node) kill(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), reconcile.BusWithin)
	defer cancel()
	_ = n.Bus.call(ctx, func(ctx context.Context, c *dbus.Conn) error {
		return c.KillUnitWithTarget(ctx, name, dbus.All, int32(unix.SIGKILL))
	})
}

// converse writes the unit's input and reads its output until it ends.
func converse(u FetchUnit, in io.WriteCloser, out, diagnostics io.Reader) ([]byte, error) {
	const most = 1 << 20
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(in, bytes.NewReader(u.Stdin)) // a unit that does not read it has said why
		in.Close()
	})
	both.Go(func() {
		text, _ := io.ReadAll(io.LimitReader(diagnostics, most))
		for line := range strings.Lines(string(text)) {
			u.Stderr(strings.TrimRight(line, "\n"))
		}
		_, _ = io.Copy(io.Discard, diagnostics)
	})
	answer, err := io.ReadAll(io.LimitReader(out, most+1))
	if err == nil && len(answer) > most {
		return nil, errors.New("it printed more than 1 MiB")
	}
	both.Wait()
	return answer, err
}

// properties are those of a unit that reads from the network, computes, and writes
// into one directory. "systemd-analyze security" is to find little to complain of.
func (u FetchUnit) properties(stdio []*os.File) []dbus.Property {
	type execStart struct {
		Path             string
		Args             []string
		UncleanIsFailure bool
	}
	type list struct {
		Allow bool
		Names []string
	}
	type statusSet struct{ Codes, Signals []int32 }
	type credential struct{ Name, Path string }
	credentials := []credential{}
	for name, path := range u.Credentials {
		credentials = append(credentials, credential{name, path})
	}
	type property struct {
		name  string
		value any
	}
	all := []property{
		{"Description", "infra-agent: talk to a git server"},
		{"Type", "exec"},
		{"ExecStart", []execStart{{u.Exec[0], u.Exec, false}}},
		{"LoadCredential", credentials},
		{"StandardInputFileDescriptor", godbus.UnixFD(stdio[0].Fd())},
		{"StandardOutputFileDescriptor", godbus.UnixFD(stdio[1].Fd())},
		{"StandardErrorFileDescriptor", godbus.UnixFD(stdio[2].Fd())},
		// However it ends, it leaves nothing: a failed fetch is not a failed unit.
		{"CollectMode", "inactive-or-failed"},
		{"SuccessExitStatus", statusSet{[]int32{1, 2, 243}, []int32{int32(unix.SIGKILL), int32(unix.SIGABRT), int32(unix.SIGSYS), int32(unix.SIGXCPU)}}},
		{"LogLevelMax", int32(5)}, // notice: each poll of an ssh remote would be three lines of the journal
		{"RuntimeMaxUSec", uint64((u.Limit + reconcile.UnitGrace) / time.Microsecond)},

		{"DynamicUser", true},
		{"User", fetchUser}, // one for all: the directory keeps its owner
		{"UMask", uint32(0o022)},
		{"NoNewPrivileges", true},
		{"CapabilityBoundingSet", uint64(0)},
		{"AmbientCapabilities", uint64(0)},
		{"ProtectSystem", "strict"},
		{"ProtectHome", "yes"},
		{"PrivateTmp", true},
		{"PrivateDevices", true},
		{"PrivateUsers", true},
		{"ProtectKernelTunables", true},
		{"ProtectKernelModules", true},
		{"ProtectKernelLogs", true},
		{"ProtectControlGroups", true},
		{"ProtectClock", true},
		{"ProtectHostname", true},
		{"ProtectProc", "invisible"},
		{"ProcSubset", "pid"},
		{"RestrictNamespaces", uint64(0)},
		{"RestrictRealtime", true},
		{"RestrictSUIDSGID", true},
		{"LockPersonality", true},
		{"MemoryDenyWriteExecute", true},
		{"RemoveIPC", true},
		{"KeyringMode", "private"},
		{"RestrictAddressFamilies", list{true, []string{"AF_INET", "AF_INET6"}}},
		{"SystemCallArchitectures", []string{"native"}},
		{"SystemCallFilter", list{true, []string{"@system-service", "@sandbox"}}},
		{"SystemCallFilter", list{false, []string{"@privileged", "@resources"}}},
		{"SystemCallErrorNumber", int32(unix.EPERM)},
		{"InaccessiblePaths", []string{"-/run/dbus/system_bus_socket", "-/nix/var/nix/daemon-socket"}},
		{"MemoryMax", uint64(fetchMemory)},
		{"TasksMax", uint64(fetchTasks)},
		{"OOMScoreAdjust", int32(500)}, // rather this than what the node is for
	}
	if u.Writes {
		// The agent reads the tree without any capability. /var/lib/private keeps everybody else out.
		all = append(all, property{"StateDirectory", []string{fetchUser}}, property{"StateDirectoryMode", uint32(0o755)})
	}
	var props []dbus.Property
	for _, p := range all {
		props = append(props, dbus.Property{Name: p.name, Value: godbus.MakeVariant(p.value)})
	}
	return props
}
