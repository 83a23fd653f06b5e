package main

import (
	"bytes"
	"testing"
	"time"
)

func TestPreviewMarkdown(t *testing.T) {
	var units []string
	for range 12 {
		units = append(units, "a@b.service")
	}
	p := preview{
		Nodes: []nodePreview{
			{Node: "dns-01", Change: "unchanged"},
			{Node: "mail-01", Change: "changed", Closure: []string{"openssl: 3.0.13 → 3.0.14, +12.3 KiB", "zlib: 1.3 → ∅"}},
			{Node: "web-01", Change: "changed", Reboot: []string{"kernel", "initrd"}, Units: units},
			{Node: "x|<b>`", Change: "new"},
		},
		Inputs: []inputMove{{"nixpkgs", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}},
	}
	const at = "a@\u200bb.service, "
	const want = `### 3 of 4 nodes change

| node | reboot for | units | closure |
| --- | --- | --- | --- |
| mail-01 |  |  | openssl: 3.0.13 → 3.0.14, +12.3 KiB; zlib: 1.3 → ∅ |
| web-01 | kernel, initrd | ` + at + at + at + at + at + at + at + at + at + at + `and 2 more |  |

New: x\|&lt;b>'

Input nixpkgs: 2026-02-01 → 2026-01-01 (-30 days)
`
	var got bytes.Buffer
	if err := p.markdown(&got); err != nil || got.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got.String(), want)
	}
}
