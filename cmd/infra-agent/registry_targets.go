package main

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/registry"
	"github.com/infra-agent/infra-agent/agent/strict"
)

// A targetGroup is an entry of Prometheus' file_sd and http_sd format, which are the same:
// https://prometheus.io/docs/prometheus/latest/http_sd/
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func registryTargetsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "prometheus-targets", Short: "Print the managed nodes as Prometheus' targets, for file_sd and http_sd", Args: cobra.NoArgs,
		Long: `Print the managed nodes as Prometheus' targets, for file_sd and http_sd.

A target is the node's address, or where the registry gives none its host name or name.
Its labels are node, roles (",dns,web,"), registry_wave and registry_environment: wave and
environment are labels of infra_agent_node_info, which target labels of that name would
rename. A node that comes and goes has ephemeral="yes": it may be off. A node that the agent would refuse is a target too, without what is not known of it.`,
		RunE: func(c *cobra.Command, _ []string) error {
			port, _ := c.Flags().GetUint16("port")
			if port == 0 {
				return usageError(c, fmt.Errorf("--port is 0: want 1 to 65535"))
			}
			f, problems, err := readRegistry(c)
			if err != nil {
				return err
			}
			if len(problems) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%s has %s: see \"infra-agent registry check\"\n", problems[0].File, counted(len(problems), "mistake"))
			}
			groups, err := targetGroups(f, problems, port)
			if err != nil {
				return err
			}
			return writeJSON(c.OutOrStdout(), groups)
		},
	}
	c.Flags().Uint16("port", 10119, "port at which the nodes serve their metrics")
	pathFlag(c)
	return c
}

// targetGroups has one group a node, by name.
func targetGroups(f *registry.File, problems []strict.Problem, port uint16) ([]targetGroup, error) {
	groups := []targetGroup{}
	for _, name := range slices.Sorted(maps.Keys(f.Nodes)) {
		n, err := seen(f, problems, name)
		if err != nil {
			return nil, err
		}
		if !n.Managed {
			continue
		}
		host := cmp.Or(n.Entry.Address, n.Entry.Hostname, name)
		labels := map[string]string{"node": name}
		if n.Target != nil {
			labels["roles"] = "," + strings.Join(n.Roles, ",") + ","
			labels["registry_wave"] = n.Target.Wave
			labels["registry_environment"] = n.Target.Environment
		}
		if n.Entry.Ephemeral {
			labels["ephemeral"] = "yes"
		}
		maps.DeleteFunc(labels, func(_, value string) bool { return strings.Trim(value, ",") == "" })
		groups = append(groups, targetGroup{
			Targets: []string{net.JoinHostPort(host, strconv.Itoa(int(port)))}, Labels: labels,
		})
	}
	return groups, nil
}
