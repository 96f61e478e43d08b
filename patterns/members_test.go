package patterns_test

import (
	"context"
	"slices"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

// hiding is a composition that shows nothing of what it is made of, like a pipeline.
type hiding struct{ chain patterns.Policy }

func (h *hiding) Execute(ctx context.Context, op patterns.Operation) error {
	return h.chain.Execute(ctx, op)
}
func (h *hiding) Compose(next patterns.Policy) patterns.Policy {
	return patterns.Compose(h.chain, next)
}

// opaque puts itself around a policy in a way of its own.
type opaque struct {
	*layer
	next patterns.Policy
}

func (o *opaque) Compose(next patterns.Policy) patterns.Policy { return &opaque{o.layer, next} }

func TestMembersAreThePartsOfACompositionFromTheOutside(t *testing.T) {
	a, b, c := &layer{}, &layer{}, &layer{}
	foreign := &declared{}
	for _, tt := range []struct {
		name string
		p    patterns.Policy
		want []patterns.Policy
	}{
		{"nil", nil, nil},
		{"direct", patterns.Direct{}, nil},
		{"composed of nothing", patterns.Compose(), nil},
		{"one", a, []patterns.Policy{a}},
		{"two", patterns.Compose(a, b), []patterns.Policy{a, b}},
		{"nested", patterns.Compose(a, patterns.Compose(b, c)), []patterns.Policy{a, b, c}},
		{"nested outside", patterns.Compose(patterns.Compose(a, b), c), []patterns.Policy{a, b, c}},
		{"foreign", foreign, []patterns.Policy{foreign}},
		{"foreign outside", patterns.Compose(foreign, a, b), []patterns.Policy{foreign, a, b}},
		{"foreign inside", patterns.Compose(a, foreign), []patterns.Policy{a, foreign}},
		{"hidden", &hiding{patterns.Compose(a, b)}, []patterns.Policy{a, b}},
		{"one that is hidden", &hiding{a}, []patterns.Policy{a}},
		{"nothing that is hidden", &hiding{patterns.Direct{}}, nil},
		{"hidden in a composition", patterns.Compose(a, &hiding{patterns.Compose(b, foreign)}, c),
			[]patterns.Policy{a, b, foreign, c}},
	} {
		if got := patterns.Members(tt.p); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := patterns.Members(patterns.Compose(a, &opaque{layer: b})); len(got) != 2 || got[0] != patterns.Policy(a) {
		t.Errorf("opaque: got %v", got)
	}
}
