package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"

	"github.com/infra-agent/infra-agent/agent"
	"github.com/infra-agent/infra-agent/agent/config"
	"github.com/infra-agent/infra-agent/agent/message"
	"github.com/infra-agent/infra-agent/agent/notify"
	"github.com/infra-agent/infra-agent/agent/system"
	"github.com/infra-agent/infra-agent/reconcile"
)

// noticesFile is what was told, and what is owed to receivers, beside the record.
func noticesFile(stateDir string) string { return filepath.Join(stateDir, "notices.json") }

// notifier goes on from what was told. Its troubles are those of the agent, once there is one.
func notifier(ctx context.Context, s config.Settings, log *slog.Logger, a func() *agent.Agent) *notify.Notifier {
	return notify.Open(notify.Options{
		Path: noticesFile(s.StateDir), Log: log, Spread: spread,
		Trouble: func(what, why string) { a().Trouble(ctx, what, why) },
	})
}

// spread keeps a fleet from trying again in step.
func spread() float64 { return 0.9 + 0.2*rand.Float64() }

// receivers are those of the settings.
func (n node) receivers(s config.Settings) []notify.Receiver {
	var all []notify.Receiver
	if argv := s.Notify.Command; len(argv) > 0 {
		all = append(all, notify.Receiver{
			Name: config.ReceiverCommand, Kinds: s.Notify.KindsOf(nil), To: commandTo{n.system, argv, s.Notify.CommandSecretFile, nodeName(s)},
		})
	}
	for _, w := range s.Notify.Webhooks {
		to := notify.Webhook{
			URL: w.URL, SecretFile: w.SecretFile, Headers: w.Headers, Template: message.Template(w.Template), CAFile: w.CAFile, Timeout: w.Timeout,
		}
		all = append(all, notify.Receiver{Name: w.Name, Kinds: s.Notify.KindsOf(w.Events), To: webhookTo{to, nodeName(s)}})
	}
	return all
}

// commandTo gets notices about the node as messages on standard input.
type commandTo struct {
	system *system.Node
	argv   []string
	secret string // a file
	node   string
}

func (p commandTo) Send(ctx context.Context, n reconcile.Notice) error {
	return p.system.Tell(ctx, p.argv, p.secret, message.Of(p.node, n).JSON())
}

// webhookTo gets notices about the node as messages.
type webhookTo struct {
	notify.Webhook
	node string
}

func (w webhookTo) Send(ctx context.Context, n reconcile.Notice) error {
	return w.Post(ctx, message.Of(w.node, n))
}
