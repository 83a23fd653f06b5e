package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Addresses in a lab. Labs have namespaces of their own: all use the same ones.
const (
	GitAddress    = "10.99.0.1" // the git server; also the nodes' gateway
	SecondAddress = "10.99.0.2" // a host beside it: answers pings, and connections on port 80

	// GitURL is where nodes fetch the fleet's configuration.
	GitURL = "http://" + GitAddress + "/config.git"
)

const (
	namespaceDir    = "/run/netns"
	namespacePrefix = "ial-"
	switchName      = "switch"
	secondName      = "second"
	bridge          = "br0"
)

// namespace is the name of the network namespace of a node, or of the switch that connects them.
func (l *Lab) namespace(name string) string { return namespacePrefix + l.id + "-" + name }

// addSwitch makes the namespace of the bridge, which is also the git server's host.
func (l *Lab) addSwitch() error {
	ns := l.namespace(switchName)
	return ip([][]string{
		{"netns", "add", ns},
		{"-n", ns, "link", "add", bridge, "type", "bridge"},
		{"-n", ns, "address", "add", GitAddress + "/24", "dev", bridge},
		{"-n", ns, "link", "set", bridge, "up"},
		{"-n", ns, "link", "set", "lo", "up"},
	})
}

// plug makes a host's namespace and connects it with the switch by a cable whose end there is port.
func (l *Lab) plug(host, port, address string) error {
	ns, sw := l.namespace(host), l.namespace(switchName)
	return ip([][]string{
		{"netns", "add", ns},
		{"-n", ns, "link", "add", "host0", "type", "veth", "peer", "name", port, "netns", sw},
		{"-n", sw, "link", "set", port, "master", bridge, "up"},
		{"-n", ns, "address", "add", address + "/24", "dev", "host0"},
		{"-n", ns, "link", "set", "host0", "up"},
		{"-n", ns, "link", "set", "lo", "up"},
		{"-n", ns, "route", "add", "default", "via", GitAddress},
	})
}

// setPort connects or disconnects the cable at the switch.
func (l *Lab) setPort(port string, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return ip([][]string{{"-n", l.namespace(switchName), "link", "set", port, state}})
}

func removeNamespaces(prefix string) error {
	paths, err := filepath.Glob(filepath.Join(namespaceDir, prefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, ip([][]string{{"netns", "delete", filepath.Base(path)}}))
	}
	return errors.Join(errs...)
}

func ip(commands [][]string) error {
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// inNamespace calls f on a thread that is in the network namespace; the sockets that f makes stay there. The thread is
// given up afterwards: it ends with the goroutine.
func inNamespace[T any](namespace string, f func() (T, error)) (T, error) {
	var result T
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		file, err := os.Open(filepath.Join(namespaceDir, namespace))
		if err != nil {
			done <- err
			return
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace %s: %w", namespace, err)
			return
		}
		result, err = f()
		done <- err
	}()
	err := <-done
	return result, err
}

func listenIn(namespace, address string) (net.Listener, error) {
	return inNamespace(namespace, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// Dial connects from within the node, so that its loopback addresses can be reached.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return inNamespace(n.lab.namespace(n.name), func() (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	})
}

// secondHost answers on port 80 by closing each connection; its kernel answers pings.
type secondHost struct {
	listener net.Listener
	serving  sync.WaitGroup
}

func (l *Lab) addSecondHost() (*secondHost, error) {
	if err := l.plug(secondName, secondName, SecondAddress); err != nil {
		return nil, err
	}
	listener, err := listenIn(l.namespace(secondName), SecondAddress+":80")
	if err != nil {
		return nil, fmt.Errorf("second host: %w", err)
	}
	h := &secondHost{listener: listener}
	h.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	})
	return h, nil
}

func (h *secondHost) stop() error {
	err := h.listener.Close()
	h.serving.Wait()
	return err
}
