package histories

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

const (
	// lease is long beside a call and short beside a history.
	lease = 60 * time.Millisecond

	// slack is what the clocks of store and clients may differ by over a lease, and what a coarse one rounds away.
	slack = 3 * time.Millisecond

	// patience bounds the wait for a store that should answer by now.
	patience = 30 * time.Second
)

// withinLeases runs one history on one key with short leases and with clients that die, and looks for what may never
// happen. Every second history is calm: it has no releases and no cleanups, so that the record lives as long as the
// history and its fence may only grow.
func withinLeases(w *world, n int) (judge func() history) {
	l := &leaseHistory{world: w, start: time.Now(), calm: n%2 == 0, key: fmt.Sprintf("leases-%x-%d", w.o.Seed, n)}
	var clients, janitor sync.WaitGroup
	for id := range w.o.Clients {
		random := w.random(uint64(n), uint64(id))
		clients.Go(func() {
			for range (w.o.Operations + 1) / 2 {
				pause(time.Duration(random.Int64N(int64(lease) / 2)))
				l.act(random)
			}
		})
	}
	over := make(chan struct{})
	janitor.Go(func() {
		for !l.calm && l.cleanUp(over) {
		}
	})
	clients.Wait()
	close(over)
	janitor.Wait()
	l.unblock()
	return func() history { return l.judge(n) }
}

// leaseHistory is what clients did with one key.
type leaseHistory struct {
	*world
	start time.Time
	key   string
	calm  bool

	mu         sync.Mutex
	tenures    []*tenure
	sightings  []sighting
	notes      []string // what happened, for people
	operations int
	unknown    int
	violations []string
}

// span is when an operation was called and when it returned. It took effect at some moment of it.
type span struct{ called, returned time.Duration }

func (s span) before(other span) bool { return s.returned < other.called }

// tenure is an acquired claim.
type tenure struct {
	claim    span
	id       int
	token    idempotency.Token
	until    time.Duration // the lease lasts at least so long
	gaveUp   time.Duration // when it began to release or complete; else never
	used     []span        // calls that went through as the owner
	stored   span          // of the completion that went through, if there was one
	complete bool
	maybe    bool // completed with an unknown outcome
}

func (t *tenure) result() string { return fmt.Sprintf("result-%d", t.id) }

// end is until when nobody else may acquire the key.
func (t *tenure) end() time.Duration { return min(t.until-slack, t.gaveUp) }

// sighting is a claim or a get that saw a result, or none.
type sighting struct {
	span
	found bool
	value string
}

// call calls the store and writes down what came of it. After a call of unknown outcome it takes a breath.
func (l *leaseHistory) call(what string, call func(ctx context.Context) (string, error)) (s span, err error) {
	ctx, cancel := context.WithTimeout(l.Context(), l.o.Timeout)
	defer cancel()
	s.called = time.Since(l.start)
	answer, err := call(ctx)
	s.returned = time.Since(l.start)
	if isUnknown(err) {
		answer = "unknown"
		pause(breath)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.operations++
	switch {
	case err == nil:
	case isUnknown(err):
		l.unknown++
	case errors.Is(err, idempotency.ErrClaimLost):
		answer = "claim lost"
	default:
		answer = err.Error()
		l.violations = append(l.violations, fmt.Sprintf("%s: an error that no store may answer: %v", what, err))
	}
	l.notes = append(l.notes, fmt.Sprintf("%12.3f %12.3f  %s: %s", ms(s.called), ms(s.returned), what, answer))
	return s, err
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// act claims the key, and if it is acquired acts for it, in one of the ways in which callers do.
func (l *leaseHistory) act(random *rand.Rand) {
	if random.IntN(5) == 0 {
		l.look()
		return
	}
	t, _, err := l.claim()
	if err != nil || t == nil {
		return
	}
	for left := random.Int64N(int64(lease) * 3 / 2); left > 0; {
		d := min(left, int64(lease)/3)
		left -= d
		pause(time.Duration(d))
		if random.IntN(3) == 0 {
			l.extend(t)
		}
	}
	switch choice := random.IntN(10); {
	case choice < 2:
		l.complete(t)
	case choice < 5 && !l.calm:
		l.release(t)
	}
}

// claim returns the tenure if the key was acquired, and what the store answered.
func (l *leaseHistory) claim() (t *tenure, c idempotency.Claim, err error) {
	s, err := l.call("claim", func(ctx context.Context) (answer string, err error) {
		c, err = l.store.Claim(ctx, idempotency.ClaimRequest{Key: l.key, Lease: lease, Retention: always})
		return fmt.Sprintf("%v, fence %d, retry after %v, %s", c.Outcome, c.Fence, c.RetryAfter, c.Value), err
	})
	if err != nil {
		return nil, idempotency.Claim{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// The store may have read its clock at the start of the call, and the record at the end.
	if took := s.returned - s.called; c.Outcome == idempotency.InProgress && c.RetryAfter > lease+slack+took {
		l.violations = append(l.violations, fmt.Sprintf("the key is blocked for %v, longer than a lease of %v", c.RetryAfter, lease))
	}
	if c.Outcome != idempotency.Acquired {
		l.sightings = append(l.sightings, sighting{span: s, found: c.Outcome == idempotency.Done, value: string(c.Value)})
		return nil, c, nil
	}
	l.sightings = append(l.sightings, sighting{span: s})
	t = &tenure{claim: s, id: len(l.tenures) + 1, token: c.Token, until: s.called + lease, gaveUp: math.MaxInt64}
	l.tenures = append(l.tenures, t)
	return t, c, nil
}

func (l *leaseHistory) look() {
	var value []byte
	var found bool
	s, err := l.call("get", func(ctx context.Context) (answer string, err error) {
		value, found, err = l.store.Get(ctx, l.key)
		return fmt.Sprintf("found %v, %s", found, value), err
	})
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sightings = append(l.sightings, sighting{span: s, found: found, value: string(value)})
}

func (l *leaseHistory) extend(t *tenure) {
	s, err := l.call(fmt.Sprintf("extend of fence %d", t.token.Fence), func(ctx context.Context) (string, error) {
		return "ok", l.store.Extend(ctx, l.key, t.token, lease)
	})
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.until = s.called + lease
	t.used = append(t.used, s)
}

func (l *leaseHistory) complete(t *tenure) {
	l.giveUp(t)
	what := fmt.Sprintf("complete of fence %d with %s", t.token.Fence, t.result())
	s, err := l.call(what, func(ctx context.Context) (string, error) {
		return "ok", l.store.Complete(ctx, l.key, t.token, []byte(t.result()), 0)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		t.complete, t.stored = true, s
		t.used = append(t.used, s)
	case isUnknown(err):
		t.maybe = true
	}
}

func (l *leaseHistory) release(t *tenure) {
	l.giveUp(t)
	s, err := l.call(fmt.Sprintf("release of fence %d", t.token.Fence), func(ctx context.Context) (string, error) {
		return "ok", l.store.Release(ctx, l.key, t.token)
	})
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.used = append(t.used, s)
}

func (l *leaseHistory) giveUp(t *tenure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.gaveUp = time.Since(l.start)
}

// cleanUp returns false when the clients are over.
func (l *leaseHistory) cleanUp(over <-chan struct{}) bool {
	_, _ = l.call("cleanup", func(ctx context.Context) (string, error) { // what can be wrong is written down
		n, err := l.store.CleanupExpired(ctx, 10)
		return fmt.Sprint(n), err
	})
	select {
	case <-over:
		return false
	case <-time.After(lease / 10):
		return true
	}
}

// unblock claims the key until it is free or has a result. Each claim or extension of unknown outcome may come late and
// block it once more.
func (l *leaseHistory) unblock() {
	late := time.NewTimer(patience)
	defer late.Stop()
	for blocked := 0; ; {
		t, c, err := l.claim()
		switch {
		case t != nil, c.Outcome == idempotency.Done, err != nil && !isUnknown(err):
			return
		case c.Outcome == idempotency.InProgress:
			blocked++
		}
		if l.mayBlock() < blocked {
			l.violate("the key is still blocked after %d leases, and nobody holds it", blocked)
			return
		}
		select {
		case <-time.After(c.RetryAfter + slack):
		case <-late.C:
			l.violate("no claim was answered for %v", patience)
			return
		}
	}
}

// mayBlock is how many leases may have to end when all clients are gone.
func (l *leaseHistory) mayBlock() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 2 + l.unknown
}

func (l *leaseHistory) violate(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violations = append(l.violations, fmt.Sprintf(format, args...))
}

// judge looks for what may never happen.
func (l *leaseHistory) judge(n int) history {
	h := history{operations: l.operations, unknown: l.unknown}
	found := slices.Concat(l.violations, l.judgeTenures(), l.judgeResults())
	if len(found) > 0 {
		found = found[:min(len(found), enough)]
		h.violations = []string{fmt.Sprintf("history %d, key %s: %s\n   called ms  returned ms  operation\n%s",
			n, l.key, strings.Join(found, "; "), strings.Join(l.notes, "\n"))}
	}
	return h
}

func (l *leaseHistory) judgeTenures() (violations []string) {
	report := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	for i, a := range l.tenures {
		for _, b := range l.tenures[i+1:] {
			if overlap(a, b) {
				report("fences %d and %d acted for the key at the same time, within their leases", a.token.Fence, b.token.Fence)
			}
		}
		for _, b := range l.tenures {
			if !a.claim.before(b.claim) {
				continue
			}
			if l.calm && b.token.Fence <= a.token.Fence {
				report("fence %d was followed by %d", a.token.Fence, b.token.Fence)
			}
			for _, used := range a.used {
				if b.claim.before(used) {
					report("the owner with fence %d still acted when the one with fence %d had taken over", a.token.Fence, b.token.Fence)
				}
			}
		}
	}
	return violations
}

// overlap reports whether, in whatever order two claims took effect, the second one did within the first one's lease.
func overlap(a, b *tenure) bool {
	bWithinA, aWithinB := b.claim.returned < a.end(), a.claim.returned < b.end()
	switch {
	case a.claim.before(b.claim):
		return bWithinA
	case b.claim.before(a.claim):
		return aWithinB
	default:
		return bWithinA && aWithinB
	}
}

func (l *leaseHistory) judgeResults() (violations []string) {
	report := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	var stored *tenure // the completion that went through first
	for _, t := range l.tenures {
		switch {
		case !t.complete:
		case stored == nil:
			stored = t
		default:
			report("two completions went through, %s and %s", stored.result(), t.result())
		}
	}
	for _, s := range l.sightings {
		if s.found && !l.couldHaveStored(s.value) {
			report("%q was seen, and nobody has stored it", s.value)
		}
		if stored == nil {
			continue
		}
		if s.found && s.value != stored.result() {
			report("%s was seen, but %s was stored", s.value, stored.result())
		}
		if !s.found && stored.stored.before(s.span) {
			report("%s was stored, and lost", stored.result())
		}
	}
	return violations
}

func (l *leaseHistory) couldHaveStored(value string) bool {
	for _, t := range l.tenures {
		if (t.complete || t.maybe) && t.result() == value {
			return true
		}
	}
	return false
}
