package manifest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// ParsePin reads a pin: a store path as text, of the date at which the server has it from, or
// with a name the one of that name in a list of them, as niks3's GET /api/pins answers it.
// Nobody has signed either.
func ParsePin(data []byte, name string, modified time.Time) (reconcile.Pin, error) {
	pin := reconcile.Pin{Toplevel: reconcile.Toplevel(strings.TrimSpace(string(data))), At: modified}
	if name != "" {
		var err error
		if pin, err = pinOf(data, name); err != nil {
			return reconcile.Pin{}, err
		}
	}
	switch {
	case !isStorePath(string(pin.Toplevel)) || strings.HasSuffix(string(pin.Toplevel), ".drv"):
		return reconcile.Pin{}, fmt.Errorf("want the store path of a system, got %.100q", pin.Toplevel)
	case pin.At.IsZero():
		return reconcile.Pin{}, errors.New("the pin has no date (hint: have the server say Last-Modified)")
	}
	pin.At = pin.At.UTC()
	return pin, nil
}

// pinOf finds a pin in niks3's list, server/pins.go there. Other keys may come later.
func pinOf(data []byte, name string) (found reconcile.Pin, err error) {
	var list []struct {
		Name      string    `json:"name"`
		StorePath string    `json:"store_path"`
		UpdatedAt time.Time `json:"updated_at"`
	}
	if err := decode(data, &list, false); err != nil {
		return found, fmt.Errorf("the list of pins cannot be read: %w", err)
	}
	for _, p := range list {
		switch {
		case p.Name != name:
		case found.Toplevel != "":
			return found, fmt.Errorf("the list has the pin %q twice", name)
		default:
			found = reconcile.Pin{Toplevel: reconcile.Toplevel(p.StorePath), At: p.UpdatedAt}
		}
	}
	if found.Toplevel == "" {
		return found, fmt.Errorf("the list has no pin %q", name)
	}
	return found, nil
}

// ParseStorePath reads the name of a store path in which manifests are. A name of its own keeps
// everything else that a binary cache has signed from being taken for one.
func ParseStorePath(data []byte) (string, error) {
	path := strings.TrimSpace(string(data))
	if !isStorePath(path) || !strings.HasSuffix(path, "-"+Namespace) {
		return "", fmt.Errorf("want the store path of manifests, /nix/store/…-%s, got %.100q", Namespace, path)
	}
	return path, nil
}

// OpenSigned reads a manifest of a store path whose signature was checked. It is of that very
// source, or the error says why not.
func OpenSigned(data []byte, of Source) (*Manifest, error) {
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if err := m.isOf(of); err != nil {
		return nil, err
	}
	return m, nil
}
