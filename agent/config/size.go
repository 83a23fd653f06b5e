package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Size is a number of bytes, written like "256MiB".
type Size int64

// units are the suffixes of a size, largest first.
var units = []struct {
	suffix string
	bytes  Size
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
}

// UnmarshalText reads a whole number with one of the units B, KiB, MiB, GiB, TiB.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 63)
		if err == nil && n <= uint64(math.MaxInt64/u.bytes) {
			*s = Size(n) * u.bytes
			return nil
		}
		break
	}
	return fmt.Errorf(`%q is not a size: write a whole number and a unit, such as "256MiB" or "1GiB"`, text)
}

// String returns s with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.bytes == 0 {
			return fmt.Sprintf("%d%s", s/u.bytes, u.suffix)
		}
	}
	return "0B"
}
