package patterns_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns"
)

func TestInstanceHasItsOwnConfigurationOrTheDefault(t *testing.T) {
	instances := patterns.Instances[int]{Default: 3, Named: map[string]int{"payments": 5, "none": 0}}
	for name, want := range map[string]int{"payments": 5, "none": 0, "orders": 3, "": 3} {
		if got := instances.For(name); got != want {
			t.Errorf("For(%q) = %d, want %d", name, got, want)
		}
	}
	if got := (patterns.Instances[int]{Default: 3}).For("payments"); got != 3 {
		t.Errorf("without named instances: %d", got)
	}
}
