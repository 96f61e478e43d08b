package patterns_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
)

// tracing returns a policy that writes name to trace each time it is reached.
func tracing(trace *[]string, name string, linked, sequential bool) patterns.Policy {
	note := func() { *trace = append(*trace, name) }
	if linked {
		return &layer{before: note, sequential: sequential}
	}
	p := plain(func(ctx context.Context, op patterns.Operation) error {
		note()
		return op(ctx)
	})
	if sequential {
		return declared{p}
	}
	return p
}

// declared is a plain policy that promises to be sequential.
type declared struct{ plain }

func (declared) Sequential() bool { return true }

func TestComposeRunsTheFirstPolicyOutermost(t *testing.T) {
	for _, linked := range []bool{true, false} {
		var trace []string
		p := patterns.Compose(tracing(&trace, "a", linked, true), tracing(&trace, "b", linked, true))
		err := p.Execute(t.Context(), func(context.Context) error {
			trace = append(trace, "op")
			return errBoom
		})
		if err != errBoom || !slices.Equal(trace, []string{"a", "b", "op"}) {
			t.Errorf("linked %v: got %v, %v", linked, trace, err)
		}
	}
}

func TestComposePassesTheContextOfEachPolicyInwards(t *testing.T) {
	type key string
	mark := func(k key) patterns.Policy {
		return plain(func(ctx context.Context, op patterns.Operation) error {
			return op(context.WithValue(ctx, k, true))
		})
	}
	p := patterns.Compose(mark("outer"), &layer{}, mark("inner"))
	err := p.Execute(t.Context(), func(ctx context.Context) error {
		if ctx.Value(key("outer")) != true || ctx.Value(key("inner")) != true {
			return errBoom
		}
		return nil
	})
	if err != nil {
		t.Error("a policy's context did not reach the operation")
	}
}

func TestComposeLeavesOutWhatIsNil(t *testing.T) {
	for _, p := range []patterns.Policy{patterns.Compose(), patterns.Compose(nil), patterns.Compose(nil, nil)} {
		if p != (patterns.Direct{}) {
			t.Errorf("nothing composed is a %T", p)
		}
	}
	only := &layer{}
	if p := patterns.Compose(nil, only, nil); p != patterns.Policy(only) {
		t.Errorf("one policy composed is a %T", p)
	}
}

func TestComposedPolicyDoesNotChangeItsParts(t *testing.T) {
	var trace []string
	a, b, c := tracing(&trace, "a", true, true), tracing(&trace, "b", true, true), tracing(&trace, "c", true, true)
	ab := patterns.Compose(a, b)
	_ = patterns.Compose(ab, c)
	if err := ab.Execute(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(trace, []string{"a", "b"}) {
		t.Errorf("after it was part of another, a policy runs %v", trace)
	}
}

// TestComposeIsAssociative composes policies in random nestings, Compose(Compose(a, b), c) and Compose(a, Compose(b,
// c)) among them, and wants the order in which they were written.
func TestComposeIsAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trace, want []string
		sequential := true
		var draw func(depth int) patterns.Policy
		draw = func(depth int) patterns.Policy {
			kinds := []string{"linked", "plain", "direct", "nil"}
			if depth > 0 {
				kinds = append(kinds, "compose", "compose", "compose")
			}
			switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
			case "nil":
				return nil
			case "direct":
				return patterns.Direct{}
			case "compose":
				parts := make([]patterns.Policy, rapid.IntRange(0, 3).Draw(t, "parts"))
				for i := range parts {
					parts[i] = draw(depth - 1)
				}
				return patterns.Compose(parts...)
			default:
				name, promises := fmt.Sprint(len(want)), rapid.Bool().Draw(t, "sequential")
				want = append(want, name)
				sequential = sequential && promises
				return tracing(&trace, name, kind == "linked", promises)
			}
		}
		p := patterns.Compose(draw(4), draw(4), draw(4))
		want = append(want, "op")

		for call := 1; call <= 2; call++ {
			trace = nil
			err := p.Execute(context.Background(), func(context.Context) error {
				trace = append(trace, "op")
				return errBoom
			})
			if err != errBoom || !slices.Equal(trace, want) {
				t.Fatalf("call %d ran %v with %v, want %v", call, trace, err, want)
			}
		}
		if got := patterns.IsSequential(p); got != sequential {
			t.Fatalf("IsSequential is %v, want %v: one that makes no promise is enough", got, sequential)
		}
	})
}

func TestPolicyThatSaysNothingIsNotSequential(t *testing.T) {
	silent := plain(func(ctx context.Context, op patterns.Operation) error { return op(ctx) })
	tests := []struct {
		name string
		p    patterns.Policy
		want bool
	}{
		{"nil", nil, false},
		{"silent", silent, false},
		{"promises", &layer{sequential: true}, true},
		{"says no", &layer{sequential: false}, false},
		{"direct", patterns.Direct{}, true},
	}
	for _, tt := range tests {
		if got := patterns.IsSequential(tt.p); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
