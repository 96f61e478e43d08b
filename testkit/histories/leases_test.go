package histories

import (
	"math"
	"testing"
	"time"
)

func TestOverlapIsOnlyWhatCannotBeOtherwise(t *testing.T) {
	at := func(called, returned, until, gaveUp time.Duration) *tenure {
		return &tenure{claim: span{called, returned}, until: until + slack, gaveUp: gaveUp}
	}
	const never = math.MaxInt64
	first := at(10, 20, 100, never)
	for name, tc := range map[string]struct {
		a, b *tenure
		want bool
	}{
		"second within the lease":           {first, at(50, 60, 150, never), true},
		"second ends at the end":            {first, at(50, 100, 150, never), false},
		"second after the lease":            {first, at(110, 120, 150, never), false},
		"second began within, may be later": {first, at(90, 110, 150, never), false},
		"first had given up":                {at(10, 20, 100, 40), at(50, 60, 150, never), false},
		"first gave up later":               {at(10, 20, 100, 70), at(50, 60, 150, never), true},
		"at the same time":                  {first, at(15, 25, 100, never), true},
		"at the same time, one lease over":  {at(10, 90, 70, never), at(15, 80, 150, never), false},
		"at the same time, both may be ok":  {at(10, 90, 70, never), at(15, 90, 75, never), false},
	} {
		if got := overlap(tc.a, tc.b); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
		if got := overlap(tc.b, tc.a); got != tc.want {
			t.Errorf("%s, the other way round: got %v, want %v", name, got, tc.want)
		}
	}
}
