package convention

// fileRules are held by package strict, which reads the file. Where one is broken,
// Nix and Go would see different registries, so neither the agent nor a tool goes on.
func fileRules() []*Rule {
	return []*Rule{
		{ID: "T001", Severity: Error, Always: true, Scope: "file", Text: "No dates or times; write them as strings. Nix refuses them."},
		{ID: "T002", Severity: Error, Always: true, Scope: "file", Text: `TOML 1.0: a table is complete where it is written, an inline table has no line end and no comma at its end, a string no \e and no \x. Nix refuses them.`},
		{ID: "T003", Severity: Error, Always: true, Scope: "file", Text: "Integers fit 64 bits; no inf, no nan. Nix refuses or saturates the integers, by its version, and makes null of the others."},
		{ID: "T004", Severity: Error, Always: true, Scope: "file", Text: "No key is outPath or starts with _ (__toString). Nix gives them a meaning: all keys beside outPath vanish."},
		{ID: "T005", Severity: Error, Always: true, Scope: "file", Text: "No NUL character, written out or as \\u0000. Nix refuses it or ends the string there, by its version."},
		{ID: "T006", Severity: Error, Always: true, Scope: "file", Text: "No byte-order mark. Nix skips it, other readers refuse it."},
		{ID: "T007", Severity: Error, Always: true, Scope: "file", Text: "UTF-8, at most 16 MiB, at most 8 levels deep."},
	}
}
