package sqlrecord

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLazyValueIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		l := NewLazy(func(context.Context) (*int, error) {
			time.Sleep(time.Second)
			made++
			return &made, nil
		})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if v, err := l.Get(t.Context()); err != nil || *v != 1 {
					t.Errorf("got %v, error %v", v, err)
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("made %d times", made)
		}
	})
}

func TestLazyValueIsTriedAgainAfterAFailure(t *testing.T) {
	failure := errors.New("failure")
	tries := 0
	l := NewLazy(func(context.Context) (*int, error) {
		if tries++; tries < 3 {
			return nil, failure
		}
		return &tries, nil
	})
	for range 2 {
		if _, err := l.Get(t.Context()); !errors.Is(err, failure) {
			t.Errorf("got error %v, want %v", err, failure)
		}
	}
	if v, err := l.Get(t.Context()); err != nil || *v != 3 {
		t.Errorf("got %v, error %v", v, err)
	}
}

func TestWaitForALazyValueEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLazy(func(ctx context.Context) (*int, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		slow, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go l.Get(slow) //nolint:errcheck // it fails
		synctest.Wait()
		quick, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		if _, err := l.Get(quick); !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != time.Second {
			t.Errorf("got error %v after %v", err, time.Since(started))
		}
	})
}

func TestClosedLazyValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 1
		l := NewLazy(func(context.Context) (*int, error) {
			time.Sleep(time.Second)
			return &made, nil
		})
		go l.Get(t.Context()) //nolint:errcheck // it does not fail
		synctest.Wait()
		if v := l.Close(); v != &made {
			t.Errorf("close while it was made: got %v", v)
		}
		if v := l.Close(); v != nil {
			t.Errorf("second close: got %v", v)
		}
		if _, err := l.Get(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got error %v, want %v", err, ErrClosed)
		}
	})
}

func TestPausesGrowAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for attempts, longest := range map[int]time.Duration{0: firstPause, 3: 8 * firstPause, 10: longestPause, 1 << 20: longestPause} {
			started := time.Now()
			if err := Pause(t.Context(), attempts); err != nil {
				t.Error(err)
			}
			if took := time.Since(started); took < firstPause/2 || took > firstPause/2+longest {
				t.Errorf("after %d attempts: paused for %v, want at most %v", attempts, took, longest)
			}
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Pause(over, 20); !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
	})
}

func TestBlameNamesTheContextOnce(t *testing.T) {
	failure := errors.New("failure")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Blame(over, failure); !errors.Is(err, context.Canceled) || !errors.Is(err, failure) {
		t.Errorf("got %v, want both reasons", err)
	}
	if err := Blame(over, context.Canceled); err != context.Canceled {
		t.Errorf("got %v, want it as it is", err)
	}
	if err := Blame(t.Context(), failure); err != failure {
		t.Errorf("got %v, want it as it is", err)
	}
	if err := Blame(over, nil); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func TestForgottenLazyValueIsMadeAgain(t *testing.T) {
	made := 0
	l := NewLazy(func(context.Context) (*int, error) {
		made++
		return &made, nil
	})
	l.Forget() // what was never made
	for want := range 3 {
		for range 2 {
			if v, err := l.Get(t.Context()); err != nil || *v != want+1 {
				t.Errorf("made %d times, error %v, want %d", made, err, want+1)
			}
		}
		l.Forget()
	}
	l.Close()
	l.Forget()
	if _, err := l.Get(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got error %v, want %v", err, ErrClosed)
	}
}
