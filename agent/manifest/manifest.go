// Package manifest reads and writes manifests: what the system of each node is at one
// commit, found out once, by one machine that evaluates for all of them. It knows the
// format, who must have signed it, and what a node may take from it. It does not know
// where manifests are kept, nor what a node does without one.
package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Schema is the version of the format that this version writes.
const Schema = 1

// Namespace is what manifests are signed for, as ssh-keygen(1) has it: a key that signs
// commits or other files signs no manifest by that.
const Namespace = "infra-agent-manifest"

// Suffix is what the signature's file is called after the manifest's, by ssh-keygen(1).
const Suffix = ".sig"

// A Manifest says which systems a commit describes.
type Manifest struct {
	Commit   reconcile.Commit
	Tree     string          // of the commit: its hash, by git
	Created  time.Time       // UTC, whole seconds
	Nix      string          // version of the Nix that evaluated the systems: 2.31.2
	Registry json.RawMessage // where the registry is a value of the flake: that; else nil
	Nodes    map[string]Node // by the node's name in the registry
}

// A Node is one node's system.
type Node struct {
	Configuration string // name of its output; "": the node's own name
	System        string // x86_64-linux
	Toplevel      reconcile.Toplevel
	Derivation    reconcile.Derivation
}

// FileName returns where the manifest of a commit is, and with a node's name where its own
// small one is: a path with slashes.
func FileName(c reconcile.Commit, node string) string {
	if node == "" {
		return string(c) + ".json"
	}
	return string(c) + "/" + node + ".json"
}

// Singles are the manifests of single nodes.
type Singles struct {
	whole      *Manifest
	all, nodes map[string]json.RawMessage // of the registry, where it is a value of the flake
}

// Singles reads the registry once, for all nodes.
func (m *Manifest) Singles() (s Singles, err error) {
	s.whole = m
	if m.Registry == nil {
		return s, nil
	}
	if err = json.Unmarshal(m.Registry, &s.all); err == nil {
		err = json.Unmarshal(s.all["nodes"], &s.nodes)
	}
	if err != nil {
		return s, fmt.Errorf("the manifest's registry: %w", err)
	}
	return s, nil
}

// Of returns the manifest of one node. It says of the commit's registry what concerns that
// node: it is found in it by its own names as in the whole.
func (s Singles) Of(name string) (*Manifest, error) {
	n, there := s.whole.Nodes[name]
	if !there {
		return nil, fmt.Errorf("the manifest has no node %q", name)
	}
	only := *s.whole
	only.Nodes = map[string]Node{name: n}
	if s.all == nil {
		return &only, nil
	}
	registry := maps.Clone(s.all)
	var err error
	if registry["nodes"], err = json.Marshal(map[string]json.RawMessage{name: s.nodes[name]}); err == nil {
		only.Registry, err = json.Marshal(registry)
	}
	return &only, err
}
