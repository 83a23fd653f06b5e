package store

import (
	"os"
	"testing"
)

// What is accepted is written again as it was read.
func FuzzDecode(f *testing.F) {
	golden, err := os.ReadFile("testdata/state-1.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, []byte(`{"phase":{"name":"idle"}}`))
	for _, p := range phases {
		record, err := encodeRecord(full(p), true, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(golden[:100], []byte(record))
	}
	f.Add(golden, []byte(`{"ANCHOR":"x","anchor":"","phase":{"name":"idle"},"PHASE":1,"later":{"a":[1e400]}}`))
	f.Fuzz(func(t *testing.T, file, record []byte) {
		_, _, _, _ = decode(file, 1)
		sealed, err := encodeFile(record, version{1, 1})
		if err != nil {
			return
		}
		rec, _, unknown, err := decode(sealed, 1)
		if err != nil {
			return
		}
		once, err := encodeRecord(rec, true, unknown)
		if err != nil {
			t.Fatalf("accepted %s, and cannot write it: %v", record, err)
		}
		sealed, err = encodeFile(once, version{1, 1})
		if err != nil {
			t.Fatal(err)
		}
		rec, _, unknown, err = decode(sealed, 1)
		if err != nil {
			t.Fatalf("wrote %s, and cannot read it: %v", once, err)
		}
		twice, err := encodeRecord(rec, true, unknown)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s\nis written as\n%s\nand then as\n%s (%v)", record, once, twice, err)
		}
	})
}
