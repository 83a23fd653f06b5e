//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/infra-agent/infra-agent/integration/lab"
)

const (
	// maxOthersCommit is what a commit that does not touch a node may cost its network, both ways, more
	// than a poll that finds nothing: the commit and the manifest, with all that HTTP adds to them.
	maxOthersCommit = 3_000 // bytes
	packetHeaders   = 66    // bytes, of Ethernet, IPv4 and TCP with its time stamps
)

// othersCommit has a node of manifests meet a commit that changes nothing for it, and returns what
// that costs: bytes, both ways, and processor time of all that runs there.
func (c *ci) othersCommit(web *node, i int) (bytes int, cpu time.Duration) {
	c.t.Helper()
	poll, _ := web.costOf("infra_agent_polls_total{result=\"unchanged\"}")
	commit := must[string](c.t)(c.f.Repo().Commit("of others", map[string]string{"README": fmt.Sprint(i)}))
	c.offer()
	bytes, cpu = web.costOf(fmt.Sprintf("infra_agent_revision_info{revision=%q,stage=\"good\"}", commit))
	return bytes - poll, cpu
}

// costOf has the node poll, and returns what it costs until a series of its metrics is another.
func (n *node) costOf(series string) (bytes int, cpu time.Duration) {
	n.t.Helper()
	before := n.metric(series)
	bytes, cpu = -n.networkBytes(), -must[time.Duration](n.t)(n.CPU())
	must[string](n.t)(n.Run(n.t.Context(), "touch", "/run/infra-agent/sync")) // as a webhook does
	for n.metric(series) == before {
		time.Sleep(300 * time.Millisecond) // each look costs two milliseconds
	}
	return bytes + n.networkBytes(), cpu + must[time.Duration](n.t)(n.CPU())
}

// networkBytes is what went over the node's network card, proc_net_dev(5), without the headers of
// its packets.
func (n *node) networkBytes() (sum int) {
	n.t.Helper()
	for line := range strings.Lines(must[string](n.t)(n.Run(n.t.Context(), "cat", "/proc/net/dev"))) {
		name, counters, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "lo" {
			continue
		}
		var received, packetsReceived, sent, packetsSent int
		var other [6]int
		if _, err := fmt.Sscan(counters, &received, &packetsReceived, &other[0], &other[1], &other[2], &other[3], &other[4], &other[5], &sent, &packetsSent); err == nil {
			sum += received + sent - packetHeaders*(packetsReceived+packetsSent)
		}
	}
	return sum
}

// A node of manifests stays as small as one that evaluates, and a commit that is not for it costs next to nothing.
func TestManifestsCostLittle(t *testing.T) {
	f := newFleet(t)
	web, c := manifestsOnly(t, f)
	t.Log("every nix on the node also writes down what it was asked")
	must[string](t)(web.Run(t.Context(), "mv", "/usr/bin/nix", "/usr/lib/nix"))
	check(t, web.Write("/usr/bin/nix", "#!/bin/bash\necho \"${0##*/} $*\" >>/var/log/nix.log\nexec -a \"${0##*/}\" /usr/lib/nix \"$@\"\n", 0o755))
	for i := range 3 {
		bytes, cpu := c.othersCommit(web, i)
		t.Logf("a commit that does not touch the node: %d bytes, %v of CPU", bytes, cpu)
		if bytes > maxOthersCommit {
			t.Errorf("a commit that does not touch the node costs %d bytes, want at most %d", bytes, maxOthersCommit)
		}
	}
	if log, err := web.Read("/var/log/nix.log"); err == nil {
		t.Errorf("a commit that does not touch the node needs Nix:\n%s", log)
	}
	for range 20 {
		web.sync()
	}
	anonymous, resident := web.memory()
	t.Logf("RssAnon %d KiB, VmRSS %d KiB", anonymous, resident)
	if anonymous > maxAnonymousKiB || resident > maxResidentKiB {
		t.Errorf("RssAnon is %d KiB, VmRSS %d KiB, want at most %d and %d", anonymous, resident, maxAnonymousKiB, maxResidentKiB)
	}
}

// manifestsOnly is a node that takes manifests of a server, and never evaluates.
func manifestsOnly(t testing.TB, f fleet) (*node, *ci) {
	t.Helper()
	c := newCI(t, f)
	config := must[string](t)(f.Repo().File("config.toml"))
	must[string](t)(f.Repo().Commit("polls are asked for", map[string]string{"config.toml": strings.Replace(config, `interval = "5s"`, `interval = "1h"`, 1)}))
	c.settings(t, "mode = \"only\"\nsources = [\""+c.cacheURL+"/manifests/{commit}/{node}.json\"]", "")
	nodes := f.boot("web1", "db1")
	c.on(nodes[1])
	c.serve()
	nodes[0].wait("in sync", inSync(f.tip()))
	return nodes[0], c
}

// BenchmarkOthersCommit reports what a commit that changes nothing for a node costs it.
func BenchmarkOthersCommit(b *testing.B) {
	agent, err := builtAgent()
	if err != nil {
		b.Fatal(err)
	}
	l, err := lab.New(lab.Options{Agents: map[string]string{agentVersion: agent}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	web, c := manifestsOnly(b, fleet{l, b, new([]*node)})
	for i := range b.N {
		bytes, cpu := c.othersCommit(web, i)
		b.ReportMetric(float64(bytes), "bytes")
		b.ReportMetric(float64(cpu.Milliseconds()), "cpu-ms")
	}
}
