package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// Pin commits files to the repository NAME.git beside the fleet's, with that commit as submodule of the same name on top of
// the fleet's newest one, pushes both and returns the fleet's commit.
func (r *Repo) Pin(name string, files map[string]string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	module := &Repo{dir: filepath.Join(r.dir, "modules", name)}
	at := filepath.Join(r.served(), name+".git")
	if _, err := os.Stat(at); os.IsNotExist(err) {
		if err := os.MkdirAll(module.work(), 0o755); err != nil {
			return "", err
		}
		if _, err := r.git("init", "--quiet", "--bare", "--initial-branch=main", at); err != nil {
			return "", err
		}
		if _, err := module.git("init", "--quiet", "--initial-branch=main"); err != nil {
			return "", err
		}
	}
	if err := module.write(files); err != nil {
		return "", err
	}
	if err := module.commit("The module " + name); err != nil {
		return "", err
	}
	if _, err := module.git("push", "--quiet", at, "HEAD:main"); err != nil {
		return "", err
	}
	commit, err := module.Tip()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(r.work(), name), 0o755); err != nil {
		return "", err
	}
	text := fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = ../%s.git\n", name, name, name)
	if err := r.write(map[string]string{".gitmodules": text}); err != nil {
		return "", err
	}
	if _, err := r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+name); err != nil {
		return "", err
	}
	return r.publish("Pin " + name)
}
