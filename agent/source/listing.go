package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// A listing is what is kept of the list of refs with which a server begins,
// gitprotocol-pack(5). A server may have any number of them; one or two count.
type listing struct {
	capabilities *capability.List
	commits      map[string]string // of the refs that were looked for, as far as the server has them; of [head], the target; of "refs/heads/", each below it
	empty        bool              // it has no ref at all
	thin         bool              // it may be asked for a thin pack
}

// takeThin keeps go-git from asking for a thin pack where none can be completed.
func (l *listing) takeThin() {
	l.thin = l.capabilities.Supports(capability.ThinPack)
	l.capabilities.Delete(capability.ThinPack)
}

// noRefs stands where the name of the first ref would.
const noRefs = "capabilities^{}"

func refOf(branch string) string { return plumbing.NewBranchReferenceName(branch).String() }

// readListing reads lines "HASH NAME" up to a flush, the first with capabilities,
// without keeping them.
func readListing(r io.Reader, refs []string) (listing, error) {
	said := listing{capabilities: capability.NewList(), commits: map[string]string{}, empty: true}
	lines := pktline.NewScanner(r)
	for first := true; lines.Scan(); first = false {
		line, capabilities, _ := bytes.Cut(bytes.TrimSuffix(lines.Bytes(), []byte("\n")), []byte{0})
		if len(line) == 0 { // flush
			return said, nil
		}
		if first {
			if err := said.capabilities.Decode(capabilities); err != nil {
				return listing{}, fmt.Errorf("the server's capabilities: %w", err)
			}
			for _, link := range said.capabilities.Get(capability.SymRef) {
				if target, is := strings.CutPrefix(link, head+":"); is {
					said.commits[head] = target
				}
			}
			said.takeThin()
		}
		hash, name, _ := bytes.Cut(line, []byte(" "))
		said.empty = said.empty && string(name) == noRefs
		if slices.ContainsFunc(refs, func(ref string) bool { return looksFor(ref, string(name)) && len(said.commits) < maxRefs }) {
			said.commits[string(name)] = string(hash)
		}
	}
	if text, is := errors.AsType[*pktline.ErrorLine](lines.Err()); is {
		return listing{}, serverSays(text.Text)
	}
	if err := lines.Err(); err != nil {
		return listing{}, fmt.Errorf("the server's list of refs: %w", err)
	}
	return listing{}, fmt.Errorf("the server's list of refs: %w", io.ErrUnexpectedEOF)
}

// maxRefs is how many refs of a listing are kept at most.
const maxRefs = 1000

// looksFor reports whether a ref that is looked for, or all below "refs/heads/", has
// that name.
func looksFor(ref, name string) bool {
	return name == ref || strings.HasSuffix(ref, "/") && strings.HasPrefix(name, ref) && !strings.HasSuffix(name, "^{}")
}

func serverSays(text string) error {
	return fmt.Errorf("the server says: %.200q", strings.TrimSpace(text))
}

// encodeRequest writes a request as HTTP servers want it, all at once; the others
// take it so, too.
func encodeRequest(req *packp.UploadPackRequest) (*bytes.Buffer, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := req.UploadRequest.Encode(&b); err != nil {
		return nil, err
	}
	if err := req.UploadHaves.Encode(&b, false); err != nil {
		return nil, err
	}
	err := pktline.NewEncoder(&b).EncodeString("done\n")
	return &b, err
}

// decodeResponse reads an answer up to where the pack begins. Of servers that know
// multi_ack, and some insist on it, that is one line ACK for each commit that both
// have, and one more.
func decodeResponse(body io.ReadCloser, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	resp := packp.NewUploadPackResponse(req)
	if err := resp.Decode(body); err != nil {
		_ = body.Close()
		if text, is := errors.AsType[*pktline.ErrorLine](err); is {
			return nil, serverSays(text.Text)
		}
		return nil, fmt.Errorf("the server's answer: %w", err)
	}
	return resp, nil
}
