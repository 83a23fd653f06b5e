package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/reconcile"
)

// fleetTimeout is how long Prometheus may take for all that is asked.
const fleetTimeout = 30 * time.Second

// fleetEvery is how often --watch looks again: agents are not scraped more often.
const fleetEvery = 5 * time.Second

func fleetCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fleet", Short: "Show all nodes, as Prometheus knows them: what needs attention comes first", Args: cobra.NoArgs,
		Long: `Show all nodes, as Prometheus knows them: what needs attention comes first.

It runs anywhere: it asks the Prometheus that scrapes the agents. In a checkout of the
configuration it names the commits by their subjects, too. Of a large fleet it shows the
first 40 nodes that are not in sync, and counts the others.`,
		RunE: func(c *cobra.Command, _ []string) error {
			address, _ := c.Flags().GetString("prometheus")
			server, err := prometheusAt(address)
			if err != nil {
				return usageError(c, err)
			}
			job, _ := c.Flags().GetString("job")
			asJSON, _ := c.Flags().GetBool("json")
			watch, _ := c.Flags().GetBool("watch")
			if asJSON && watch {
				return usageError(c, errJSONOfOneMoment)
			}
			most := fleetLines
			if all, _ := c.Flags().GetBool("all"); all || asJSON {
				most = 0
			}
			look := func(ctx context.Context, most int) (fleet, error) { return readFleet(ctx, server, job, most) }
			if watch {
				return watchFleet(c, look, most)
			}
			f, err := look(c.Context(), most)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), f)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), f.text(most, inksOf(c.OutOrStdout())))
			return err
		},
	}
	c.Flags().String("prometheus", "http://127.0.0.1:9090", "the Prometheus that scrapes the nodes")
	c.Flags().String("job", "infra-agent", "its scrape job")
	c.Flags().Bool("all", false, "show every node")
	c.Flags().Bool("watch", false, "look again and again, until ctrl-C")
	c.Flags().Bool("json", false, "print JSON, with every node")
	return c
}

// A fleet is what Prometheus knows of all nodes. It is what "fleet --json" prints: fields are only ever added.
type fleet struct {
	At       time.Time        `json:"at"`                // of the answer, by Prometheus's clock
	Newest   reconcile.Commit `json:"newest,omitempty"`  // that any node has verified; empty: the rules are not loaded
	Subject  string           `json:"subject,omitempty"` // of Newest, where the checkout knows it
	Standing map[standing]int `json:"standing"`          // number of nodes
	Nodes    []fleetNode      `json:"nodes"`             // what needs attention first
}

// A fleetNode is one node of a fleet.
type fleetNode struct {
	Node        string           `json:"node"`
	Instance    string           `json:"instance"` // address of its metrics
	Environment string           `json:"environment,omitempty"`
	Wave        string           `json:"wave,omitempty"`
	Roles       []string         `json:"roles,omitempty"`
	Standing    standing         `json:"standing"`
	State       string           `json:"state,omitempty"` // what its agent does
	Since       time.Time        `json:"since,omitzero"`  // out of sync, or else in its state
	Gates       []reconcile.Gate `json:"gates,omitempty"` // what holds it
	Revision    reconcile.Commit `json:"revision,omitempty"`
	Subject     string           `json:"subject,omitempty"`
}

// A standing says how much a node needs attention.
type standing string

const (
	standsFailed     standing = "rollback_failed" // or stuck: a person must act
	standsRolledBack standing = "rolled_back"     // and no commit has worked since
	standsHeld       standing = "held"            // by a gate
	standsBehind     standing = "behind"          // and on its way
	standsDown       standing = "no_answer"       // Prometheus cannot scrape it
	standsInSync     standing = "in_sync"
)

// standings are all of them, what needs attention most first.
var standings = []standing{standsFailed, standsRolledBack, standsHeld, standsBehind, standsDown, standsInSync}
