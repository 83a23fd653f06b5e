// Command generate writes the Grafana boards of infra-agent, fleet.json and node.json. They are Go values here, so that
// what they ask Prometheus for is compared with what the agent and the rules have. It is no part of the agent.
//
//	go generate ./packaging/grafana/generate
//	go run ./packaging/grafana/generate -rules     every expression as a rule, for "promtool check rules"
package main

//go:generate go run . -dir ..

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", ".", "where the boards are written")
	rules := flag.Bool("rules", false, "print the expressions as rules instead")
	flag.Parse()
	if err := run(*dir, *rules); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir string, rules bool) error {
	if rules {
		return json.NewEncoder(os.Stdout).Encode(asRules(boards()))
	}
	for name, b := range boards() {
		text, err := encode(b)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func boards() map[string]board { return map[string]board{"fleet": fleet(), "node": node()} }

func encode(b board) ([]byte, error) {
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}

// asRules returns a file of rules, which is YAML and so may be JSON. A variable stands inside of a string only, where
// PromQL takes it for what it is.
func asRules(all map[string]board) object {
	var rules []object
	for name, b := range all {
		for i, expr := range b.expressions() {
			rules = append(rules, object{"record": fmt.Sprintf("%s:expression:%d", name, i), "expr": expr})
		}
	}
	return object{"groups": []object{{"name": "boards", "rules": rules}}}
}
