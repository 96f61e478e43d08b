package patterns

// Instances holds the configuration of one pattern for a whole program: what every instance starts from, and what the
// named ones have instead. It is read-only once built.
type Instances[C any] struct {
	Default C
	Named   map[string]C
}

// For returns the configuration of the instance called name: its own, or the default.
func (i Instances[C]) For(name string) C {
	if c, ok := i.Named[name]; ok {
		return c
	}
	return i.Default
}
