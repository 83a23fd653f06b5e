package reconcile

import (
	"math"
	"time"
)

// TimedPhases lists the phases of a commit's way whose durations are kept, in order.
var TimedPhases = []string{"fetch", "verify", "evaluate", "build", "activate", "confirm", "promote", "goback"}

// Times are durations by phase, or by job. A nil one is empty.
type Times map[string]time.Duration

func (t Times) plus(phase string, d time.Duration) Times { return with(t, phase, t[phase]+d) }

// Durations counts how long something took, in the buckets of a native histogram of Prometheus:
// bucket i has what took at most 2^(i/4) seconds, and longer than the bucket below it.
type Durations struct {
	Sum     time.Duration `json:"sum"`
	Buckets map[int]int   `json:"buckets"`
}

// DurationSchema is Prometheus's name for that: each bucket ends 19 per cent later than the one below.
const DurationSchema = 2

// What is shorter or longer counts as this, so that there are at most 110 buckets.
const (
	shortest = time.Millisecond
	longest  = 48 * time.Hour
)

// Count is how often it was.
func (d Durations) Count() int {
	n := 0
	for _, in := range d.Buckets {
		n += in
	}
	return n
}

func (d Durations) with(t time.Duration) Durations {
	t = min(max(t, shortest), longest)
	bucket := int(math.Ceil(math.Log2(t.Seconds()) * (1 << DurationSchema)))
	return Durations{d.Sum + t, plus(d.Buckets, bucket)}
}
