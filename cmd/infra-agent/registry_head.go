package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/source"
)

// headTimeout is how long a remote that only --url names may take.
const headTimeout = 30 * time.Second

func registryHeadCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "head", Short: "Print the branch's head as metrics, for the monitoring side", Args: cobra.NoArgs,
		Long: `Print the branch's head as metrics, for the monitoring side.

The output is for node_exporter's textfile collector. With it the alert InfraAgentNotFollowing
can tell a node that does not see what others see. Remotes, credentials and branch are those
of the settings, or of --url and --branch. Where none answers, nothing is printed.`,
		RunE: func(c *cobra.Command, _ []string) error {
			opts, err := headOptions(c)
			if err != nil {
				return err
			}
			if opts.Dir, err = os.MkdirTemp("", "infra-agent-head-"); err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(opts.Dir) }()
			poll, err := firstAnswer(c.Context(), opts)
			if err != nil {
				return err
			}
			return printHead(c.OutOrStdout(), opts.Branch, poll)
		},
	}
	c.Flags().String("url", "", "remote to ask instead of those of the settings")
	c.Flags().String("branch", "", "branch to ask for (default: that of the settings; with --url, main)")
	return c
}

func headOptions(c *cobra.Command) (source.Options, error) {
	url, _ := c.Flags().GetString("url")
	branch, _ := c.Flags().GetString("branch")
	settings := config.Default()
	if url == "" {
		path, _ := c.Flags().GetString("config")
		var err error
		if settings, err = config.Load(path); err != nil {
			return source.Options{}, err
		}
	}
	opts := sourceOptions(settings)
	opts.Testing = ""
	if url != "" {
		opts.Remotes = []source.Remote{{Name: url, URL: url, Timeout: headTimeout}}
	}
	if branch != "" {
		opts.Branch = branch
	}
	return opts, nil
}

// firstAnswer is that of the most preferred remote which has the branch.
func firstAnswer(ctx context.Context, opts source.Options) (source.Poll, error) {
	var all error
	for _, poll := range source.NewPoller(opts).Once(ctx) {
		if poll.Err == nil {
			return poll, nil
		}
		all = errors.Join(all, fmt.Errorf("%s: %w", poll.Remote, poll.Err))
	}
	return source.Poll{}, all
}

func printHead(w io.Writer, branch string, poll source.Poll) error {
	_, err := fmt.Fprintf(w, `# HELP infra_agent_branch_head_info Commit that a remote shows the monitoring side. Constant 1.
# TYPE infra_agent_branch_head_info gauge
infra_agent_branch_head_info{branch=%q,revision=%q} 1
# HELP infra_agent_branch_head_timestamp_seconds When a remote showed it.
# TYPE infra_agent_branch_head_timestamp_seconds gauge
infra_agent_branch_head_timestamp_seconds{branch=%q} %d
`, branch, string(poll.Commit), branch, poll.At.Unix())
	return err
}
