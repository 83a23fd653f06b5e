package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/agent/message"
	"github.com/infra-agent/infra-agent/agent/strict"
	"github.com/infra-agent/infra-agent/reconcile"
)

// Notify says who is told of what happens to the node.
type Notify struct {
	HeldAfter         time.Duration `toml:"held_after" default:"6h" range:"0s to 720h" example:"30m" doc:"How long the node may be held, but for maintenance windows and in observe mode, until that is told; 0s: it never is."`
	Events            []string      `toml:"events" default:"[]" example:"[\"rolled_back\", \"stuck\"]" doc:"What is told; empty: promoted, rolled_back, rollback_failed, waiting, stuck, held and drift."`
	Command           []string      `toml:"command" default:"[]" example:"[\"/run/current-system/sw/bin/tell-the-fleet\", \"--json\"]" doc:"Program and arguments that get each message as JSON on standard input; empty: none."`
	CommandSecretFile string        `toml:"command_secret_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/pager" doc:"File that the command finds as $CREDENTIALS_DIRECTORY/secret; empty: none."`
	Webhooks          []Webhook     `toml:"webhooks"`
}

// A Webhook is an address that takes messages by POST.
type Webhook struct {
	Name       string        `toml:"name" default:"webhook" example:"chat" doc:"Name of the receiver in status, log and metrics."`
	URL        string        `toml:"url" required:"true" example:"https://chat.example.org/hooks/{secret}" doc:"http or https; {secret} stands for what is in secret_file."`
	SecretFile string        `toml:"secret_file" type:"file" secret:"true" default:"" example:"/run/credentials/infra-agent.service/chat" doc:"File with the secret part of url or headers, one word; read for each message."`
	Headers    []string      `toml:"headers" default:"[]" example:"[\"Authorization: Bearer {secret}\"]" doc:"More headers of the request, as \"Name: value\"."`
	Template   string        `toml:"template" default:"" example:"{\"text\": \"{text}\"}" doc:"Body with values such as {text}, {node} and {event} in it; empty: the message as JSON."`
	Events     []string      `toml:"events" default:"[]" example:"[\"promoted\"]" doc:"What this receiver is told; empty: notify.events."`
	CAFile     string        `toml:"ca_file" type:"file" default:"" example:"/etc/ssl/certs/chat.pem" doc:"PEM file with the certificate authorities to trust; empty: the system's."`
	Timeout    time.Duration `toml:"timeout" default:"10s" range:"1s to 1m" example:"30s" doc:"Limit of one try."`
}

// ReceiverCommand is the name of the receiver that notify.command is.
const ReceiverCommand = "command"

// KindsOf returns what a receiver is told whose own list of events is this one.
func (n Notify) KindsOf(events []string) []reconcile.NoticeKind {
	if len(events) == 0 {
		events = n.Events
	}
	if len(events) == 0 {
		return reconcile.NoticesByDefault
	}
	var kinds []reconcile.NoticeKind
	for _, e := range events {
		kinds = append(kinds, reconcile.NoticeKind(e))
	}
	return kinds
}

func validateNotify(d *strict.Document, n Notify) {
	validateEvents(d, "notify.events", n.Events)
	if len(n.Command) > 0 && !filepath.IsAbs(n.Command[0]) {
		d.Problemf("notify.command", "", "%q is not an absolute path", n.Command[0])
	}
	if slices.ContainsFunc(n.Command, func(arg string) bool { return strings.Contains(arg, "\x00") }) {
		d.Problemf("notify.command", "", "has an argument with a zero byte")
	}
	if n.CommandSecretFile != "" && len(n.Command) == 0 {
		d.Problemf("notify.command_secret_file", "remove it, or set notify.command", "there is no command that could read it")
	}
	names := []string{ReceiverCommand}
	for i, w := range n.Webhooks {
		at := strict.Path("notify.webhooks").Elem(i)
		if slices.Contains(names, w.Name) || !isReceiver(w.Name) {
			d.Problemf(at.Child("name"), `give each a name of its own, of letters, digits, "-" and "_"; "command" is notify.command`, "%q is used twice, or no name", w.Name)
		}
		names = append(names, w.Name)
		validateWebhook(d, at, w)
	}
}

func validateWebhook(d *strict.Document, at strict.Path, w Webhook) {
	if problem, hint := badWebhook(w.URL); problem != "" {
		d.Problemf(at.Child("url"), hint, "%s", problem)
	}
	uses := strings.Contains(w.URL, message.Secret)
	for i, h := range w.Headers {
		uses = uses || strings.Contains(h, message.Secret)
		if name, value, is := strings.Cut(h, ":"); !is || !isToken(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			d.Problemf(at.Child("headers").Elem(i), `write "Name: value"`, "is no header") // not quoted: it may hold a password
		}
	}
	switch {
	case uses && w.SecretFile == "":
		d.Problemf(at.Child("secret_file"), "name the file with the secret", "is missing, and {secret} stands for what is in it")
	case !uses && w.SecretFile != "":
		d.Problemf(at.Child("secret_file"), "write {secret} in url or headers, or remove it", "is not used")
	}
	if problem := message.Template(w.Template).Problem(); problem != "" {
		d.Problemf(at.Child("template"), "docs/notifications.md has some for chats", "%s", problem)
	}
	validateEvents(d, at.Child("events"), w.Events)
}

func validateEvents(d *strict.Document, at strict.Path, events []string) {
	for i, e := range events {
		if !slices.Contains(reconcile.NoticeKinds, reconcile.NoticeKind(e)) {
			var all []string
			for _, k := range reconcile.NoticeKinds {
				all = append(all, string(k))
			}
			d.Problemf(at.Elem(i), "want some of "+strings.Join(all, ", "), "%q is none", e)
		}
	}
}

// badWebhook never quotes the URL: it may hold a secret.
func badWebhook(s string) (problem, hint string) {
	const form = `write "https://host/path", with {secret} for its secret part`
	u, err := url.Parse(strings.ReplaceAll(s, message.Secret, "x"))
	switch {
	case s == "":
		return "is missing", form
	case err != nil || !isWeb(s) || u.Hostname() == "":
		return "is no http or https URL", form
	case u.User != nil:
		return "holds a user name or password", `put the secret into secret_file, and {secret} where it belongs, or headers = ["Authorization: Basic {secret}"]`
	case strings.Contains(hostOf(s), "{"):
		return "has {secret} in the name of the host", form
	}
	return "", ""
}

// hostOf is what stands between "//" and the path.
func hostOf(s string) string {
	_, rest, _ := strings.Cut(s, "//")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// isToken reports whether s can name a header: RFC 9110, 5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isReceiver(s string) bool {
	return isToken(s) && !strings.ContainsAny(s, "!#$%&'*+.^`|~")
}
