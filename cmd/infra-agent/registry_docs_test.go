package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/infra-agent/infra-agent/agent/registry"
)

func TestRegistryFieldsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| field | type | meaning |\n| --- | --- | --- |\n")
	for _, f := range registry.Fields() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, f.Type, f.Doc)
	}
	inDocs(t, "registry.md", b.String())
}

func TestRegistrySchemaIsPublished(t *testing.T) {
	const path = "../../docs/infrastructure.schema.json"
	if *update {
		if err := os.WriteFile(path, registry.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, registry.Schema()) {
		t.Errorf("docs/infrastructure.schema.json is not what the program says: run go test ./cmd/infra-agent -update")
	}
}
