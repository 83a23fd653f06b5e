//go:build integration

package nixosmodule

import (
	"slices"
	"testing"
)

// Each commit's package has a version of its own, where the commit is not known as well.
func TestThePackageHasAVersionForEachCommit(t *testing.T) {
	const versions = `
	  let
	    version = source: commit: (import (dir + "/../packaging/package.nix") {
	      lib = {
	        fileset = { toSource = _: "/nix/store/${source}-source"; unions = files: files; fileFilter = _: files: files; };
	        optionalString = condition: text: if condition then text else "";
	      };
	      stdenv = { buildPlatform.canExecute = _: true; hostPlatform = { }; };
	      buildGoModule = package: package { };
	      installShellFiles = null;
	      testers = null;
	      infra-agent-commit = commit;
	    }).version;
	  in [
	    (version "0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6" "2f1c9d4")
	    (version "0c0wiqhlf3l3sn8ms5rkclb0snfmvkq6" "")
	    (version "7sd8b7mgbqfxy9i5r1w45g6b0w5ww41g" "")
	  ]`
	var got []string
	check(t, evaluate(t, versions, &got))
	if want := []string{"0.1.0+2f1c9d4", "0.1.0+source.0c0wiqhl", "0.1.0+source.7sd8b7mg"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
