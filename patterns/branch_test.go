package patterns_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
)

// forked runs the operation in n branches at once, waits for all, and adopts the one that chosen names.
func forked(n, chosen int) patterns.Policy {
	return plain(func(ctx context.Context, op patterns.Operation) error {
		branches, errs := make([]*patterns.Branch, n), make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			ctx, b := patterns.Fork(ctx)
			branches[i] = b
			wg.Go(func() { errs[i] = op(ctx) })
		}
		wg.Wait()
		if errs[chosen] == nil {
			branches[chosen].Adopt()
		}
		return errs[chosen]
	})
}

// inOrder returns a function whose calls run for 1 s, 2 s and so on in the order in which they begin, and return a
// pointer to their own index in values.
func inOrder(values []int) func(context.Context) (*int, error) {
	var mu sync.Mutex
	next := 0
	return func(context.Context) (*int, error) {
		mu.Lock()
		i := next
		next++
		mu.Unlock()
		time.Sleep(time.Duration(i+1) * time.Second)
		return &values[i], nil
	}
}

// spoil turns the first n successes of what is inside into errBoom.
func spoil(n int) patterns.Policy {
	var mu sync.Mutex
	return plain(func(ctx context.Context, op patterns.Operation) error {
		err := op(ctx)
		mu.Lock()
		defer mu.Unlock()
		if n--; err == nil && n >= 0 {
			return errBoom
		}
		return err
	})
}

// tag is the key of the index of an attempt.
type tag struct{}

func TestValueIsThatOfTheAdoptedBranch(t *testing.T) {
	for chosen := range 3 {
		forEachCaller(t, func(t *testing.T, do caller) {
			p := plain(func(ctx context.Context, op patterns.Operation) error {
				var adopted *patterns.Branch
				var wg sync.WaitGroup
				for i := range 3 {
					ctx, b := patterns.Fork(context.WithValue(ctx, tag{}, i))
					if i == chosen {
						adopted = b
					}
					wg.Go(func() { _ = op(ctx) })
				}
				wg.Wait()
				adopted.Adopt()
				return nil
			})
			values := make([]int, 3)
			got, err := do(t.Context(), p, func(ctx context.Context) (*int, error) {
				i := ctx.Value(tag{}).(int)
				time.Sleep(time.Duration(3-i) * time.Second) // the last to begin is the first to end
				return &values[i], nil
			})
			if got != &values[chosen] || err != nil {
				t.Errorf("attempt %d was adopted: got %p, %v, want %p", chosen, got, err, &values[chosen])
			}
		})
	}
}

func TestBranchThatIsNotAdoptedIsNotSeen(t *testing.T) {
	abandoning := plain(func(ctx context.Context, op patterns.Operation) error {
		for range 2 {
			ctx, _ := patterns.Fork(ctx)
			_ = op(ctx) // succeeds
		}
		return nil
	})
	forEachCaller(t, func(t *testing.T, do caller) {
		if got, err := do(t.Context(), abandoning, inOrder(make([]int, 2))); got != nil || err != nil {
			t.Errorf("got %p, %v", got, err)
		}
	})
}

func TestAdoptionThatComesLateChangesNothing(t *testing.T) {
	late := plain(func(ctx context.Context, op patterns.Operation) error {
		ctx, b := patterns.Fork(ctx)
		go func() {
			_ = op(ctx)
			b.Adopt()
		}()
		return nil
	})
	nested := patterns.Compose(forked(1, 0), late) // late to a branch that was adopted before
	for _, p := range []patterns.Policy{late, nested} {
		forEachCaller(t, func(t *testing.T, do caller) {
			if got, err := do(t.Context(), p, inOrder(make([]int, 1))); got != nil || err != nil {
				t.Errorf("got %p, %v", got, err)
			}
		})
	}
}

func TestAdoptingTwiceIsAdoptingOnce(t *testing.T) {
	p := plain(func(ctx context.Context, op patterns.Operation) error {
		ctx, b := patterns.Fork(ctx)
		err := op(ctx)
		b.Adopt()
		b.Adopt()
		return err
	})
	forEachCaller(t, func(t *testing.T, do caller) {
		values := make([]int, 1)
		if got, err := do(t.Context(), p, inOrder(values)); got != &values[0] || err != nil {
			t.Errorf("got %p, %v", got, err)
		}
	})
}

func TestAttemptMadeAfterASpoiledSuccessTakesItsPlace(t *testing.T) {
	forEachCaller(t, func(t *testing.T, do caller) {
		p := patterns.Compose(attempts(3), spoil(2), forked(1, 0))
		values := make([]int, 3)
		if got, err := do(t.Context(), p, inOrder(values)); got != &values[2] || err != nil {
			t.Errorf("got %p, %v, want %p", got, err, &values[2])
		}
	})
}

func TestForkOutsideOfACallChangesNothing(t *testing.T) {
	ctx, b := patterns.Fork(t.Context())
	if ctx != t.Context() || b != nil {
		t.Errorf("got %v, %v", ctx, b)
	}
	b.Adopt()
	_, err := patterns.Do(t.Context(), patterns.Direct{}, func(ctx context.Context) (int, error) {
		if _, b := patterns.Fork(ctx); b != nil {
			t.Error("there is a branch under a sequential policy")
		}
		return 0, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCallsInsideOfCallsKeepTheirValuesApart(t *testing.T) {
	hedged := forked(2, 1)
	forEachCaller(t, func(t *testing.T, do caller) {
		values := []int{1, 2, 3, 4, 5, 6}
		inner := inOrder(values)
		outer := 0
		got, err := do(t.Context(), hedged, func(ctx context.Context) (*int, error) {
			if err := hedged.Execute(ctx, func(context.Context) error { return nil }); err != nil { // without a value
				return nil, err
			}
			text, err := patterns.Do(ctx, hedged, func(ctx context.Context) (string, error) {
				v, err := inner(ctx)
				return fmt.Sprint(*v), err
			})
			if err != nil || text == "" {
				return nil, fmt.Errorf("inside: got %q, %w", text, err)
			}
			return &outer, nil
		})
		if got != &outer || err != nil {
			t.Errorf("got %p, %v", got, err)
		}
	})
}

func TestPolicyThatDropsTheContextStillHasAValue(t *testing.T) {
	drops := plain(func(_ context.Context, op patterns.Operation) error { return op(context.Background()) })
	forEachCaller(t, func(t *testing.T, do caller) {
		values := make([]int, 1)
		if got, err := do(t.Context(), drops, inOrder(values)); got != &values[0] || err != nil {
			t.Errorf("got %p, %v", got, err)
		}
	})
}

func TestContextOfAnotherCallDoesNotTakeTheValue(t *testing.T) {
	forEachCaller(t, func(t *testing.T, do caller) {
		values := make([]int, 2)
		fn := inOrder(values)
		got, err := do(t.Context(), forked(1, 0), func(outer context.Context) (*int, error) {
			borrows := plain(func(_ context.Context, op patterns.Operation) error { return op(outer) })
			inside, err := do(context.Background(), borrows, fn)
			if inside != &values[0] || err != nil {
				t.Errorf("the inner call got %p, %v", inside, err)
			}
			return &values[1], nil
		})
		if got != &values[1] || err != nil {
			t.Errorf("the outer call got %p, %v", got, err)
		}
	})
}

func TestNilInterfaceIsAValue(t *testing.T) {
	got, err := patterns.Do(t.Context(), forked(1, 0), func(context.Context) (error, error) { return nil, nil })
	if got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = patterns.Do(t.Context(), forked(1, 0), func(context.Context) (error, error) { return errBoom, nil })
	if got != errBoom || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestEveryCallGetsTheValueOfItsOwnBranch(t *testing.T) {
	square := patterns.Wrap(patterns.Compose(forked(2, 1), forked(2, 0)), func(_ context.Context, in int) (int, error) {
		return in * in, nil
	})
	var wg sync.WaitGroup
	for start := range 4 {
		wg.Go(func() {
			for in := start; in < 400; in += 4 {
				if got, err := square(t.Context(), in); got != in*in || err != nil {
					t.Errorf("%d: got %d, %v", in, got, err)
				}
			}
		})
	}
	wg.Wait()
}

// node is a policy of the model: kind and n say what it does, inside is what it runs, nil for the operation.
type node struct {
	kind   string // "race", "detach", "retry" or "spoil"
	n      int
	inside *node
}

// path identifies an attempt: the policies on the way to it add a letter each.
type path struct{}

func pathOf(ctx context.Context) string {
	s, _ := ctx.Value(path{}).(string)
	return s
}

func under(ctx context.Context, step int) context.Context {
	return context.WithValue(ctx, path{}, pathOf(ctx)+string(rune('a'+step)))
}

// draw returns a number that depends on nothing but salt and s.
func draw(salt int, s string) int {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s", salt, s)
	return int(h.Sum64() >> 8)
}

// scripted says how long the operation at a path takes and whether it succeeds, and spoiled whether a success there is
// turned into an error. Times differ in the nanoseconds, so that no two attempts end at once.
func scripted(salt int, at string) (takes time.Duration, ok bool) {
	d := draw(salt, at)
	return time.Duration(d%5000)*time.Millisecond + time.Duration(d/5000%999_983), draw(salt+1, at)%3 > 0
}

func spoiled(salt int, at string) bool { return draw(salt+2, at)%2 == 0 }

// raceDelay is when attempt i of the race at a path begins, detachLimit when the policy there stops waiting.
func raceDelay(salt int, at string, i int) time.Duration {
	return time.Duration(i) * (time.Second + time.Duration(draw(salt+3, at)%999_983))
}

func detachLimit(salt int, at string) time.Duration {
	return 2500*time.Millisecond + time.Duration(draw(salt+4, at)%999_983)
}

// model returns when the policies at n end, whether with success, and the path of the attempt that succeeded, if all
// begins at the time from.
func (n *node) model(salt int, at string, from time.Duration) (end time.Duration, value string, ok bool) {
	if n == nil {
		takes, ok := scripted(salt, at)
		return from + takes, at, ok
	}
	step := func(i int, from time.Duration) (time.Duration, string, bool) {
		return n.inside.model(salt, at+string(rune('a'+i)), from)
	}
	switch n.kind {
	case "race": // attempts begin at fixed times; all are waited for, the first success counts
		var won time.Duration
		for i := range n.n {
			ended, v, good := step(i, from+raceDelay(salt, at, i))
			end = max(end, ended)
			if good && (!ok || ended < won) {
				won, value, ok = ended, v, true
			}
		}
		return end, value, ok
	case "detach":
		end, value, ok = step(0, from)
		if limit := from + detachLimit(salt, at); end > limit {
			return limit, "", false
		}
		return end, value, ok
	case "retry":
		end = from
		for i := range n.n {
			if end, value, ok = step(i, end); ok {
				break
			}
		}
		return end, value, ok
	default:
		end, value, ok = step(0, from)
		return end, value, ok && !spoiled(salt, at)
	}
}

// policy returns the real thing.
func (n *node) policy(salt int) patterns.Policy {
	if n == nil {
		return nil
	}
	var p plain
	switch n.kind {
	case "race":
		p = func(ctx context.Context, op patterns.Operation) error {
			at := pathOf(ctx)
			var mu sync.Mutex
			var winner *patterns.Branch
			won := false
			var wg sync.WaitGroup
			for i := range n.n {
				wg.Go(func() {
					time.Sleep(raceDelay(salt, at, i))
					ctx, b := patterns.Fork(under(ctx, i))
					err := op(ctx)
					mu.Lock()
					defer mu.Unlock()
					if err == nil && !won {
						won, winner = true, b
					}
				})
			}
			wg.Wait()
			if !won {
				return errBoom
			}
			winner.Adopt()
			return nil
		}
	case "detach":
		p = func(ctx context.Context, op patterns.Operation) error {
			limit := detachLimit(salt, pathOf(ctx))
			ctx, b := patterns.Fork(under(ctx, 0))
			done := make(chan error, 1)
			go func() { done <- op(ctx) }()
			select {
			case err := <-done:
				if err == nil {
					b.Adopt()
				}
				return err
			case <-time.After(limit):
				return errBoom
			}
		}
	case "retry":
		p = func(ctx context.Context, op patterns.Operation) (err error) {
			for i := range n.n {
				ctx, b := patterns.Fork(under(ctx, i))
				if err = op(ctx); err == nil {
					b.Adopt()
					return nil
				}
			}
			return err
		}
	default:
		p = func(ctx context.Context, op patterns.Operation) error {
			at := pathOf(ctx)
			err := op(under(ctx, 0))
			if err == nil && spoiled(salt, at) {
				return errBoom
			}
			return err
		}
	}
	return patterns.Compose(p, n.inside.policy(salt))
}

func TestValueAgreesWithTheModelUnderAnyNestOfPolicies(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		salt := rapid.Int().Draw(rt, "salt")
		var tree *node
		for range rapid.IntRange(1, 4).Draw(rt, "depth") {
			kind := rapid.SampledFrom([]string{"race", "detach", "retry", "spoil"}).Draw(rt, "kind")
			tree = &node{kind, rapid.IntRange(1, 3).Draw(rt, "n"), tree}
		}
		wantEnd, want, ok := tree.model(salt, "", 0)
		if !ok {
			want = ""
		}
		var got string
		var err error
		var end time.Duration
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			got, err = patterns.Do(t.Context(), tree.policy(salt), func(ctx context.Context) (string, error) {
				takes, ok := scripted(salt, pathOf(ctx))
				time.Sleep(takes)
				if !ok {
					return "bad", errBoom
				}
				return pathOf(ctx), nil
			})
			end = time.Since(start)
			time.Sleep(time.Hour) // what was abandoned ends here
		})
		if got != want || (err == nil) != ok || end != wantEnd {
			rt.Fatalf("got %q, %v after %v; want %q, %v after %v", got, err, end, want, ok, wantEnd)
		}
	})
}
