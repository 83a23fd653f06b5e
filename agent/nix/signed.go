package nix

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Signed returns the name of the key, one of this node's trusted-public-keys, that signed a path
// which is in the store. Nix itself asks for no signature of a path that is named by its content,
// as "nix store add" makes them: everybody may make one.
func (n *Nix) Signed(ctx context.Context, path string) (key string, err error) {
	signatures, err := n.words(ctx, append(append([]string{"nix"}, flags...), "path-info", "--sigs", path))
	if err != nil {
		return "", err
	}
	text, err := n.fingerprint(ctx, path)
	if err != nil {
		return "", err
	}
	trusted, err := n.words(ctx, append(append([]string{"nix"}, flags...), "config", "show", "trusted-public-keys"))
	if err != nil {
		return "", err
	}
	if key = signedBy(text, signatures, trusted); key != "" {
		return key, nil
	}
	if signatures, err = n.signaturesElsewhere(ctx, path); err != nil {
		return "", err
	}
	if key = signedBy(text, signatures, trusted); key == "" {
		return "", fmt.Errorf("%s is not signed by any of the keys in this node's trusted-public-keys (hint: nix store sign, or the cache's secret-key, before it is copied there)", path)
	}
	return key, nil
}

// signaturesElsewhere are those that the binary caches have. The path may have come here without
// one, and Nix does not ask for it again.
func (n *Nix) signaturesElsewhere(ctx context.Context, path string) ([]string, error) {
	caches, err := n.Substituters(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, cache := range caches {
		args := append(append([]string{"nix"}, flags...), "path-info", "--sigs", "--store", cache, "--option", "narinfo-cache-positive-ttl", "0", path)
		if signatures, err := n.words(ctx, args); err == nil { // one that does not answer, or does not have it, has none
			all = append(all, signatures...)
		}
	}
	return all, nil
}

// fingerprint is what is signed of a path, as Nix has it in ValidPathInfo::fingerprint.
func (n *Nix) fingerprint(ctx context.Context, path string) (string, error) {
	said := map[string][]string{}
	for _, what := range []string{"--hash", "--size", "--references"} {
		var err error
		if said[what], err = n.words(ctx, []string{"nix-store", "--query", what, path}); err != nil {
			return "", err
		}
	}
	if len(said["--hash"]) != 1 || len(said["--size"]) != 1 {
		return "", fmt.Errorf("query %s: Nix does not say its hash and size", path)
	}
	slices.Sort(said["--references"])
	return strings.Join([]string{"1", path, said["--hash"][0], said["--size"][0], strings.Join(said["--references"], ",")}, ";"), nil
}

// signedBy returns the name of the trusted key that made one of the signatures; "": none did. Both
// are written as NAME:BASE64.
func signedBy(text string, signatures, trusted []string) string {
	for _, key := range trusted {
		name, public, _ := strings.Cut(key, ":")
		raw, err := base64.StdEncoding.DecodeString(public)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			continue
		}
		for _, s := range signatures {
			by, signature, _ := strings.Cut(s, ":")
			sig, err := base64.StdEncoding.DecodeString(signature)
			if err == nil && by == name && ed25519.Verify(raw, []byte(text), sig) {
				return name
			}
		}
	}
	return ""
}

func (n *Nix) words(ctx context.Context, args []string) ([]string, error) {
	out, err := n.run(ctx, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return strings.Fields(string(out)), nil
}
