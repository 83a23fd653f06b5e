package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// manCommand writes the manual page, of which the package is made: man(7) says how.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "Write the manual page (the package is made with this)", Args: cobra.NoArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), manual(c.Root()))
			return err
		},
	}
}

// manual is the page about a program and all its commands.
func manual(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" %q\n", strings.ToUpper(root.Name()), root.Name()+" "+root.Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(root.Name()), roff(root.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n.I COMMAND\n", roff(root.Name()))
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, ".SH %s\n", roff(strings.ToUpper(strings.TrimSuffix(group.Title, ":"))))
		for _, c := range root.Commands() {
			if c.GroupID == group.ID {
				manualOf(&b, c)
			}
		}
	}
	b.WriteString(".SH OPTIONS OF ALL COMMANDS\n")
	b.WriteString(asItIs(root.PersistentFlags().FlagUsagesWrapped(manualWidth)))
	b.WriteString(".SH SEE ALSO\n.BR systemd (1),\n.BR nixos\\-rebuild (8),\nhttps://github.com/infra-agent/infra-agent\n")
	return b.String()
}

// manualOf is the section of a command, and of those below it.
func manualOf(b *strings.Builder, c *cobra.Command) {
	if c.Hidden {
		return
	}
	fmt.Fprintf(b, ".SS %s\n", roff(strings.TrimSuffix(c.UseLine(), " [flags]")))
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintln(b, strings.ReplaceAll(roff(strings.TrimSpace(text)), "\n\n", "\n.PP\n"))
	if c.HasAvailableLocalFlags() {
		b.WriteString(asItIs(c.LocalFlags().FlagUsagesWrapped(manualWidth)))
	}
	for _, below := range c.Commands() {
		manualOf(b, below)
	}
}

// manualWidth is that of a page on a terminal.
const manualWidth = 72

// asItIs keeps the lines of a text.
func asItIs(text string) string {
	return ".PP\n.nf\n" + roff(strings.TrimRight(text, "\n")) + "\n.fi\n"
}

// roff writes a text so that roff shows it as it is.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
