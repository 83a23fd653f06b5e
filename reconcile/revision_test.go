package reconcile

import "testing"

func TestRevisionOf(t *testing.T) {
	r := Record{
		Good:     System{Toplevel: "/nix/store/good", Revision: "c3"},
		Previous: System{Toplevel: "/nix/store/previous", Revision: "c2"},
		History: []Outcome{
			{To: "/nix/store/old", Revision: "c0"},
			{To: "/nix/store/good", Revision: "c1"}, // converged at c3 since
			{To: "/nix/store/old", Revision: "c1"},
		},
	}
	for toplevel, want := range map[Toplevel]Commit{
		"/nix/store/good": "c3", "/nix/store/previous": "c2", "/nix/store/old": "c1", "/nix/store/never": "", "": "",
	} {
		if got := RevisionOf(r, toplevel); got != want {
			t.Errorf("RevisionOf(%q) = %q, want %q", toplevel, got, want)
		}
	}
}
