//go:build integration && boards

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// A browser is a Chromium without a window, which is told what to do by Chrome's DevTools protocol over two pipes.
type browser struct {
	t  testing.TB
	in io.Writer

	mu      sync.Mutex // guards what follows
	calls   int
	answers map[int]chan json.RawMessage
	errors  []string // of the console
}

// A devtools message, as the protocol has it: https://chromedevtools.github.io/devtools-protocol/
type devtools struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

func startBrowser(t testing.TB) *browser {
	t.Helper()
	theirs, in, err := os.Pipe()
	check(t, err)
	out, theirs2, err := os.Pipe()
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{theirs, theirs2} // 3 and 4
	check(t, cmd.Start())
	check(t, theirs.Close())
	check(t, theirs2.Close())
	b := &browser{t: t, in: in, answers: map[int]chan json.RawMessage{}}
	ended := make(chan struct{})
	go func() { b.listen(out); close(ended) }()
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
		<-ended
	})
	return b
}

// listen hears answers, and what goes wrong in the page.
func (b *browser) listen(out io.Reader) {
	messages := bufio.NewReader(out)
	for {
		text, err := messages.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			devtools
			Params json.RawMessage `json:"params"`
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.t.Errorf("the browser says %.200s: %v", text, err)
			return
		}
		b.mu.Lock()
		var said struct {
			Type  string                 // of Runtime.consoleAPICalled
			Entry struct{ Level string } // of Log.entryAdded
		}
		_ = json.Unmarshal(m.Params, &said) // others have neither
		switch {
		case m.Error != nil:
			b.t.Errorf("the browser refuses: %s", m.Error)
			b.answers[m.ID] <- nil
		case m.ID != 0:
			b.answers[m.ID] <- m.Result
		case m.Method == "Runtime.exceptionThrown", said.Type == "error", said.Entry.Level == "error":
			b.errors = append(b.errors, fmt.Sprintf("%s %.600s", m.Method, m.Params))
		}
		b.mu.Unlock()
	}
}

// call calls a method, of the whole browser or of one page, and reads its result.
func (b *browser) call(session, method string, params map[string]any, result any) {
	b.t.Helper()
	answer := make(chan json.RawMessage, 1)
	b.mu.Lock()
	b.calls++
	id := b.calls
	b.answers[id] = answer
	b.mu.Unlock()
	text := must[[]byte](b.t)(json.Marshal(devtools{ID: id, Session: session, Method: method, Params: params}))
	must[int](b.t)(b.in.Write(append(text, 0)))
	got := <-answer
	if result != nil {
		check(b.t, json.Unmarshal(got, result))
	}
}

// open opens a page that is so many pixels wide, and returns its session.
func (b *browser) open(url string, width int) (session string) {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	for _, domain := range []string{"Log.enable", "Runtime.enable", "Page.enable"} {
		b.call(attached.SessionID, domain, nil, nil)
	}
	b.call(attached.SessionID, "Emulation.setScrollbarsHidden", map[string]any{"hidden": true}, nil)
	b.size(attached.SessionID, width, width)
	b.call(attached.SessionID, "Page.navigate", map[string]any{"url": url}, nil)
	return attached.SessionID
}

func (b *browser) size(session string, width, height int) {
	b.t.Helper()
	b.call(session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// picture returns what the page looks like, as WebP.
func (b *browser) picture(session string) []byte {
	b.t.Helper()
	var shot struct{ Data []byte } // in base64
	b.call(session, "Page.captureScreenshot", map[string]any{"format": "webp", "quality": 85}, &shot)
	return shot.Data
}
