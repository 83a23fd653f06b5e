package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/infra-agent/infra-agent/agent/socket"
	"github.com/infra-agent/infra-agent/reconcile"
)

// SocketName is the socket's name in the agent's run directory.
const SocketName = "control.sock"

// A Request is a wish to change something. Only root is heard.
type Request struct {
	Verb  string    `json:"verb"`
	Arg   string    `json:"arg,omitempty"`  // suspend: reason; extend: duration; allow-rewind: commit
	Until time.Time `json:"until,omitzero"` // suspend: when it ends by itself
}

// A Reply to a request. An empty Error says that it was done.
type Reply struct {
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// A Server answers on the socket.
type Server struct {
	Status  func() Status
	Command func(ctx context.Context, v reconcile.Verb) error
}

// maxRequest bounds a request: the longest one carries a reason for a suspension.
const maxRequest = 16 << 10

// Listen opens the socket in dir. The members of group may connect; the group
// may be missing, then only root may.
func Listen(dir, group string) (net.Listener, error) {
	if err := MakeDir(dir); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	path := filepath.Join(dir, SocketName)
	l, err := socket.Listen(path, group)
	if _, unknown := errors.AsType[user.UnknownGroupError](err); unknown {
		l, err = socket.Listen(path, "")
	}
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// MakeDir makes the directory of the socket, if systemd has not, so that the group gets at what is in
// it: whatever the umask is.
func MakeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

type peerKey struct{}

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.Status()) })
	mux.HandleFunc("POST /command", s.command)
	srv := &http.Server{
		Handler: mux, ReadTimeout: reconcile.RequestWithin, WriteTimeout: reconcile.ControlWithin, MaxHeaderBytes: 8 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerIsRoot(c))
		},
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// peerIsRoot asks the kernel who connected, unix(7) SO_PEERCRED.
func peerIsRoot(c net.Conn) bool {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	root := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		root = err == nil && cred.Uid == 0
	})
	return err == nil && root
}

func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	if root, _ := r.Context().Value(peerKey{}).(bool); !root {
		reply(w, http.StatusForbidden, Reply{Error: "only root may change something", Hint: "run it with sudo"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		reply(w, http.StatusBadRequest, Reply{Error: err.Error()})
		return
	}
	verb, err := ParseRequest(body)
	if err != nil {
		reply(w, http.StatusBadRequest, Reply{Error: err.Error()})
		return
	}
	if err := s.Command(r.Context(), verb); err != nil {
		out := Reply{Error: err.Error()}
		if refused, ok := errors.AsType[*reconcile.RefusedError](err); ok {
			out.Hint = refused.Hint
		}
		reply(w, http.StatusConflict, out)
		return
	}
	reply(w, http.StatusOK, Reply{})
}

// ParseRequest reads a request, or says what is wrong with it.
func ParseRequest(body []byte) (reconcile.Verb, error) {
	var r Request
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	if err := in.Decode(&r); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("request: more than one JSON value")
	}
	if !r.Until.IsZero() && r.Verb != "suspend" {
		return nil, fmt.Errorf("%s: only a suspension has an end", r.Verb)
	}
	switch r.Verb {
	case "sync":
		return reconcile.Sync{}, nil
	case "suspend":
		if r.Arg == "" {
			return nil, errors.New("suspend: say why, so that others know")
		}
		return reconcile.Suspend{Reason: r.Arg, Until: r.Until}, nil
	case "resume":
		return reconcile.Resume{}, nil
	case "confirm":
		return reconcile.Approve{}, nil
	case "retire":
		return reconcile.LetRetire{}, nil
	case "cancel":
		return reconcile.CancelTrial{}, nil
	case "extend":
		by, err := time.ParseDuration(r.Arg)
		if err != nil {
			return nil, fmt.Errorf("extend: %w", err)
		}
		return reconcile.Extend{By: by}, nil
	case "rollback":
		return reconcile.StepBack{}, nil
	case "retry":
		return reconcile.Retry{}, nil
	case "adopt":
		return reconcile.Adopt{}, nil
	case "allow-rewind":
		c, err := reconcile.ParseCommit(r.Arg)
		if err != nil {
			return nil, fmt.Errorf("allow-rewind: %w", err)
		}
		return reconcile.AllowRewind{To: c}, nil
	}
	return nil, fmt.Errorf("unknown verb %q", r.Verb)
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}
