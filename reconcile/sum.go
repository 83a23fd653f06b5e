package reconcile

import "fmt"

// unknown is what a switch over a closed set of types says of a value that it has no case for.
func unknown(what string, v any) string { return fmt.Sprintf("unknown %s %T", what, v) }
