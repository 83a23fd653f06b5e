package system

import (
	"slices"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// What the programs that the agent starts may do, systemd.exec(5). A program of the
// registry, of a check or of Nix may do what root may: it has a unit for the sake of
// what the agent's own one forbids.

// reads are the rights of a program that reads files, of whomever, and prints what it found.
var reads = []property{
	{"NoNewPrivileges", true},
	{"CapabilityBoundingSet", uint64(1 << unix.CAP_DAC_READ_SEARCH)},
	{"ProtectSystem", "strict"},
	{"ProtectHome", "read-only"},
	{"ProtectKernelTunables", true},
	{"ProtectKernelModules", true},
	{"ProtectKernelLogs", true},
	{"ProtectControlGroups", true},
	{"ProtectClock", true},
	{"RestrictNamespaces", uint64(0)},
	{"RestrictRealtime", true},
	{"RestrictSUIDSGID", true},
	{"LockPersonality", true},
	{"MemoryDenyWriteExecute", true},
}

// looks are those of one that has a network of its own, with nothing in it.
var looks = append(slices.Clone(reads), property{"PrivateNetwork", true})

// checks are those of one that has no sockets: in a network of its own, /sys and /proc would
// have other files than the machine's.
var checks = append(
	slices.Clone(reads),
	property{"RestrictAddressFamilies", list{true, []string{}}}, property{"SystemCallArchitectures", []string{"native"}},
)

// unprivileged is what a unit of a user of its own lacks, which talks to the network alone.
var unprivileged = []property{
	{"DynamicUser", true},
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
	{"RestrictNamespaces", uint64(0)},
	{"RestrictRealtime", true},
	{"RestrictSUIDSGID", true},
	{"LockPersonality", true},
	{"RemoveIPC", true},
	{"KeyringMode", "private"},
	{"SystemCallArchitectures", []string{"native"}},
	{"SystemCallErrorNumber", int32(unix.EPERM)},
	{"InaccessiblePaths", []string{"-/run/dbus/system_bus_socket", "-/nix/var/nix/daemon-socket"}},
	{"OOMScoreAdjust", int32(500)}, // rather this than what the node is for
}

// rights are those of a unit that reads from the network, computes, and writes
// into one directory. "systemd-analyze security" is to find little to complain of.
func (u FetchUnit) rights() []property {
	credentials := []credential{}
	for name, path := range u.Credentials {
		credentials = append(credentials, credential{name, path})
	}
	all := append(slices.Clone(unprivileged), []property{
		{"Description", "infra-agent: talk to a git server"},
		{"LoadCredential", credentials},
		{"LogLevelMax", int32(5)}, // notice: each poll of an ssh remote would be three lines of the journal

		{"User", fetchUser}, // one for all: the directory keeps its owner
		{"UMask", uint32(0o022)},
		{"ProcSubset", "pid"},
		{"MemoryDenyWriteExecute", true},
		{"RestrictAddressFamilies", list{true, []string{"AF_INET", "AF_INET6"}}},
		{"SystemCallFilter", list{true, []string{"@system-service", "@sandbox"}}},
		{"SystemCallFilter", list{false, []string{"@privileged", "@resources"}}}, // after what is allowed
		{"MemoryMax", uint64(fetchMemory)},
		{"TasksMax", uint64(fetchTasks)},
	}...)
	if u.Writes {
		// The agent reads the tree without any capability. /var/lib/private keeps everybody else out.
		all = append(all, property{"StateDirectory", []string{fetchUser}}, property{"StateDirectoryMode", uint32(0o755)})
	}
	return all
}

// A property is one of a transient unit, as org.freedesktop.systemd1(5) types it.
type property struct {
	name  string
	value any
}

// The shapes of properties.
type (
	execCommand struct {
		Path        string
		Args, Flags []string
	}
	list struct {
		Allow bool
		Names []string
	}
	statusSet       struct{ Codes, Signals []int32 }
	credential      struct{ Name, Path string }
	environmentFile struct {
		Path     string
		Optional bool
	}
)

// execStart has systemd take the arguments as they are, without variables in them.
func execStart(args []string) []execCommand {
	return []execCommand{{args[0], args, []string{"no-env-expand"}}}
}

func values(all []property) []dbus.Property {
	var props []dbus.Property
	for _, p := range all {
		props = append(props, dbus.Property{Name: p.name, Value: godbus.MakeVariant(p.value)})
	}
	return props
}
