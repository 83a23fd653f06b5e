package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// lfsObjects keeps the objects of the last commit, by their names.
type lfsObjects struct {
	dir  string
	left *int64 // bytes that may still be fetched
	used map[string]bool

	checkout Checkout // for what is on other hosts than its server
}

func (l lfsObjects) file(oid string) string { return filepath.Join(l.dir, oid) }

// lfsBatch is how many objects one request asks for: servers refuse much more.
const lfsBatch = 100

// fetch gets objects from a server of them.
func (l lfsObjects) fetch(ctx context.Context, at Remote, header map[string]string, missing map[string]pointer) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	all := make([]pointer, 0, len(missing))
	for _, p := range missing {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b pointer) int { return strings.Compare(a.OID, b.OID) })
	s := lfsServer{lfsObjects: l, at: at, header: header, meter: newMeter(*l.left), hosts: map[string]*web{}}
	defer s.close()
	for batch := range slices.Chunk(all, lfsBatch) {
		if err := s.get(ctx, batch); s.meter.over() {
			return suspected("%w", s.meter.err())
		} else if err != nil {
			return err
		}
	}
	return nil
}

// An lfsServer says where objects are: there, or on other hosts.
type lfsServer struct {
	lfsObjects
	at     Remote
	header map[string]string // that it wants with each question
	meter  *meter
	hosts  map[string]*web // by scheme and host
}

func (s lfsServer) close() {
	for _, w := range s.hosts {
		_ = w.Close()
	}
	*s.left -= s.meter.read.Load()
}

// get gets as many objects as one request may ask for.
func (s lfsServer) get(ctx context.Context, batch []pointer) error {
	downloads, err := s.batch(ctx, batch)
	for i := 0; err == nil && i < len(batch); i++ {
		if err = s.download(ctx, batch[i], downloads[batch[i].OID]); err != nil {
			err = fmt.Errorf("object %.12s: %w", batch[i].OID, err)
		}
	}
	return err
}

// host returns the connection to a host, with its credentials.
func (s lfsServer) host(at string) (*web, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || strings.HasPrefix(s.at.URL, "https://")) {
		return nil, errors.New("the server sends to a place that has no https URL")
	}
	key := u.Scheme + "://" + u.Host
	if w := s.hosts[key]; w != nil {
		return w, nil
	}
	remote, err := s.checkout.remoteAt(key+"/", s.at)
	if err != nil {
		return nil, err
	}
	w, err := newWeb(remote, s.meter)
	if err != nil {
		return nil, err
	}
	w.client.CheckRedirect = noDowngrade // what an object is its name says, wherever it is
	s.hosts[key] = w
	return w, nil
}

// noDowngrade lets a server send elsewhere, as forges do that keep objects in a store
// of their own. The token does not go along, as it would for [http.Client] to another
// port and to names below the host's.
func noDowngrade(to *http.Request, via []*http.Request) error {
	if len(via) > 5 || via[0].URL.Scheme == "https" && to.URL.Scheme != "https" {
		return fmt.Errorf("redirected to %s://%s", to.URL.Scheme, to.URL.Host)
	}
	if to.URL.Host != via[0].URL.Host {
		to.Header.Del("Authorization")
	}
	return nil
}

// with returns the remote without its token where the server has said what it wants instead.
func (r Remote) with(header map[string]string) Remote {
	if len(header) > 0 {
		r.TokenFile = ""
	}
	return r
}

// A download is where an object is, git-lfs docs/api/batch.md.
type download struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

const lfsType = "application/vnd.git-lfs+json"

// batch asks where objects are.
func (s lfsServer) batch(ctx context.Context, objects []pointer) (map[string]download, error) {
	const most = 1 << 20
	body, err := json.Marshal(map[string]any{"operation": "download", "transfers": []string{"basic"}, "objects": objects})
	if err != nil {
		return nil, err
	}
	w, err := s.host(s.at.URL)
	if err != nil {
		return nil, err
	}
	req, err := w.remote.with(s.header).request(ctx, http.MethodPost, s.at.URL+"/objects/batch", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range s.header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept", lfsType)
	req.Header.Set("Content-Type", lfsType)
	resp, err := w.remote.do(w.client, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var said struct {
		Transfer string `json:"transfer"`
		Objects  []struct {
			OID     string `json:"oid"`
			Actions struct {
				Download download `json:"download"`
			} `json:"actions"`
			Error struct {
				Message string `json:"message"`
			} `json:"error"`
		} `json:"objects"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&said); err != nil {
		return nil, fmt.Errorf("the server's answer: %w", err)
	}
	if said.Transfer != "" && said.Transfer != "basic" {
		return nil, fmt.Errorf("the server wants to send by %.40q, which is not supported", said.Transfer)
	}
	found := map[string]download{}
	for _, o := range said.Objects {
		found[o.OID] = o.Actions.Download
		if o.Error.Message != "" {
			return nil, fmt.Errorf("object %.12s: the server says: %.200q (hint: git lfs push --all)", o.OID, o.Error.Message)
		}
	}
	for _, o := range objects {
		if found[o.OID].Href == "" {
			return nil, fmt.Errorf("object %.12s: the server does not say where it is (hint: git lfs push --all)", o.OID)
		}
	}
	return found, nil
}

// download gets one object, which is kept only where it is what its name says.
func (s lfsServer) download(ctx context.Context, want pointer, from download) error {
	w, err := s.host(from.Href)
	if err != nil {
		return err
	}
	asked := w.remote.with(from.Header)
	req, err := asked.request(ctx, http.MethodGet, from.Href, http.NoBody)
	if err != nil {
		return err
	}
	for name, value := range from.Header {
		req.Header.Set(name, value)
	}
	resp, err := asked.do(w.client, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.CreateTemp(s.dir, "tmp_")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has another name by then
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(resp.Body, want.Size+1))
	if err != nil {
		return err
	}
	if n != want.Size || hex.EncodeToString(sum.Sum(nil)) != want.OID {
		return errors.New("what the server sends is not what the pointer says")
	}
	return os.Rename(f.Name(), s.file(want.OID))
}

// tidy deletes the objects that the commit does not need.
func (l lfsObjects) tidy() {
	files, _ := os.ReadDir(l.dir) // there may be none
	for _, f := range files {
		if !l.used[f.Name()] {
			_ = os.Remove(filepath.Join(l.dir, f.Name())) // it is only in the way
		}
	}
}
