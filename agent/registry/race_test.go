//go:build race

package registry

// raceDetector: it takes memory of its own.
const raceDetector = true
