package reconcile

import "maps"

// The maps of a record are never changed. Each of these functions returns another one.

func with[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	m = cloned(m)
	m[k] = v
	return m
}

func plus[K comparable](m map[K]int, k K) map[K]int { return with(m, k, m[k]+1) }

func dropped[K comparable, V any](m map[K]V, k K) map[K]V {
	if _, is := m[k]; !is {
		return m
	}
	m = maps.Clone(m)
	delete(m, k)
	return m
}

func without[K comparable, V any](m map[K]V, drop func(K, V) bool) map[K]V {
	for k, v := range m {
		if drop(k, v) {
			m = dropped(m, k)
		}
	}
	return m
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}
