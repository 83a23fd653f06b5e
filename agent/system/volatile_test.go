package system

import "testing"

func TestIsVolatile(t *testing.T) {
	for dir, want := range map[string]bool{
		"/dev/shm":             true, // a tmpfs wherever there is one
		"/dev/shm/none/at/all": true,
		"/proc":                false,
	} {
		if got, err := IsVolatile(dir); err != nil || got != want {
			t.Errorf("IsVolatile(%s) = %t, %v, want %t", dir, got, err, want)
		}
	}
}
