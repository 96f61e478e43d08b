package fallback_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/fallback"
)

func parse(_ context.Context, s string) (int, error) { return strconv.Atoi(s) }

func TestDecoratorAsksWithTheSameInput(t *testing.T) {
	bus, events := used()
	c := mustNew(t, fallback.WithBus[int](bus)).Add(fallback.Degrade(-1))
	length := func(_ context.Context, s string) (int, error) {
		if s == "" {
			return 0, errStale
		}
		return len(s), nil
	}
	fn := fallback.With(c, parse, nil, length)
	for in, want := range map[string]int{"42": 42, "four": 4, "": -1} {
		if got, err := fn(t.Context(), in); got != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
	steps := map[string]bool{}
	for _, e := range *events {
		steps[e.Step] = true
	}
	if len(*events) != 2 || !steps["alternative 1"] || !steps["degrade 2"] {
		t.Errorf("events: %+v", *events)
	}
}

func TestDecoratorWithoutAChain(t *testing.T) {
	fn := fallback.With(nil, parse, func(context.Context, string) (int, error) { return 1, errStale })
	if got, err := fn(t.Context(), "7"); got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	got, err := fn(t.Context(), "x")
	if got != 0 || !errors.Is(err, fallback.ErrAllFailed) || !errors.Is(err, strconv.ErrSyntax) || !errors.Is(err, errStale) {
		t.Errorf("got %d, %v", got, err)
	}
	if failed, _ := errors.AsType[*fallback.Error](err); failed == nil || failed.Name != "fallback.With" {
		t.Errorf("got %v", err)
	}
}

func TestDecoratorRetriesThePrimary(t *testing.T) {
	calls := 0
	fn := fallback.With(mustNew[int](t).Add(fallback.Retry[int](times(3))), func(_ context.Context, in int) (int, error) {
		if calls++; calls < 3 {
			return 0, errBoom
		}
		return in * in, nil
	})
	if got, err := fn(t.Context(), 5); got != 25 || err != nil || calls != 3 {
		t.Errorf("got %d, %v after %d calls", got, err, calls)
	}
}

func TestPolicyAnswersForOperationsWithoutAValue(t *testing.T) {
	queued := 0
	enqueue := fallback.NoValue(func(context.Context) error { queued++; return nil })
	p := fallback.NewPolicy(mustNew[struct{}](t).Add(fallback.Alternative(enqueue)))
	wantEqual(t, "name", p.Name(), "prices")
	if err := p.Execute(t.Context(), func(context.Context) error { return nil }); err != nil || queued != 0 {
		t.Errorf("got %v, %d queued", err, queued)
	}
	if err := p.Execute(t.Context(), func(context.Context) error { return errBoom }); err != nil || queued != 1 {
		t.Errorf("got %v, %d queued", err, queued)
	}
	p = fallback.NewPolicy(mustNew[struct{}](t).Add(fallback.Alternative(fallback.NoValue(nil))))
	if err := p.Execute(t.Context(), func(context.Context) error { return errBoom }); !errors.Is(err, fallback.ErrAllFailed) {
		t.Errorf("got %v", err)
	}
}

func TestPolicyRunsWhatIsInsideOfIt(t *testing.T) {
	calls := 0
	fails := func(context.Context) error { calls++; return errBoom }
	p := fallback.NewPolicy(mustNew[struct{}](t).Add(fallback.Retry[struct{}](times(2)), fallback.Degrade(struct{}{})))
	if err := patterns.Compose(p, times(3)).Execute(t.Context(), fails); err != nil || calls != 9 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestPolicyIsSequentialIfItsRetriesAre(t *testing.T) {
	overlapping := struct{ patterns.Policy }{patterns.Direct{}}
	chain := mustNew[struct{}](t)
	for _, tt := range []struct {
		name  string
		chain *fallback.Chain[struct{}]
		want  bool
	}{
		{"without steps", chain, true},
		{"retry without a policy", chain.Add(fallback.Retry[struct{}](nil)), true},
		{"sequential", chain.Add(fallback.Retry[struct{}](times(1))), true},
		{"overlapping", chain.Add(fallback.Degrade(struct{}{}), fallback.Retry[struct{}](overlapping)), false},
	} {
		wantEqual(t, tt.name, fallback.NewPolicy(tt.chain).Sequential(), tt.want)
	}
}
