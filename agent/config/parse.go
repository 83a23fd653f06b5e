package config

import (
	"fmt"
	"os"

	"github.com/infra-agent/infra-agent/agent/strict"
)

// Load reads the settings file at path.
func Load(path string) (Settings, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("read settings: %w", err)
	}
	return Parse(path, data)
}

// Parse reads the text of a settings file; name is the file's name in problems.
// The error is a [*strict.Error] with every problem.
func Parse(name string, data []byte) (Settings, error) {
	d, err := strict.Parse(name, data)
	if err != nil {
		return Settings{}, err
	}
	s := Default()
	d.Decode(&s)
	validate(d, s)
	if err := d.Err(); err != nil {
		return Settings{}, err
	}
	return s, nil
}
