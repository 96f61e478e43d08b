package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns/state"
)

func absentKeyIsNotFound(s *stateSuite) {
	s.absent("key", "a key that was never written")
	s.swap("key", 0, "value", long)
	s.absent("other", "another key than was written")
}

func swapStoresAValue(s *stateSuite) {
	version := s.swap("key", 0, "one", 0)
	if version <= 0 {
		s.Errorf("version %d, want it positive", version)
	}
	s.holds("key", version, "one", "first swap")
	next := s.swap("key", version, "two", 0)
	s.holds("key", next, "two", "second swap")
	same := s.swap("key", next, "two", 0)
	s.holds("key", same, "two", "swap of the same data") // a new version all the same, as swap has checked
}

func swapNeedsTheCurrentVersion(s *stateSuite) {
	for _, old := range []state.Version{1, -1, 1 << 50} {
		s.refused(old, "swap of a version that an absent key cannot have")
	}
	s.absent("key", "after refused swaps")
	first := s.swap("key", 0, "one", long)
	second := s.swap("key", first, "two", long)
	for _, old := range []state.Version{0, -1, first, second - 1, second + 1} {
		if old != second {
			s.refused(old, "swap of another version")
		}
	}
	s.holds("key", second, "two", "after refused swaps")
}

func deleteNeedsTheCurrentVersion(s *stateSuite) {
	s.deleted("key", 0, false, "an absent key at version 0")
	s.deleted("key", 1, false, "an absent key")
	first := s.swap("key", 0, "one", long)
	second := s.swap("key", first, "two", long)
	for _, version := range []state.Version{0, -1, first, second + 1} {
		s.deleted("key", version, false, "another version")
	}
	s.holds("key", second, "two", "after refused deletions")
	s.deleted("key", second, true, "the current version")
	s.absent("key", "after a deletion")
	s.deleted("key", second, false, "the same version again")
}

// versionsOutliveTheirValues lets a key go and come back, and wants nobody to mistake the new value for an old one.
func versionsOutliveTheirValues(s *stateSuite) {
	var seen []state.Version
	highest := func() (v state.Version) {
		if len(seen) > 0 {
			v = seen[len(seen)-1]
		}
		return v
	}
	write := func(old state.Version, ttl time.Duration) state.Version {
		version := s.swap("key", old, "value", ttl)
		if version <= highest() {
			s.Errorf("version %d came after %d", version, highest())
		}
		seen = append(seen, version)
		return version
	}
	for range 3 {
		version := write(write(0, long), long)
		s.deleted("key", version, true, "the current version")
		started := time.Now()
		write(0, short)
		s.lapse("key", started)
	}
	current := write(0, long)
	for _, old := range seen[:len(seen)-1] {
		s.refused(old, "swap of a version of a value that is gone")
		s.deleted("key", old, false, "a version of a value that is gone")
	}
	s.holds("key", current, "value", "after calls with the versions of values that are gone")
}

func valueExpires(s *stateSuite) {
	for _, key := range []string{"one", "two", "three"} {
		started := time.Now()
		s.swap(key, 0, "value", short)
		s.lapse(key, started)
	}
}

func expiredValueIsAbsent(s *stateSuite) {
	started := time.Now()
	old := s.swap("key", 0, "one", short)
	s.lapse("key", started)
	s.refused(old, "swap of an expired version")
	s.deleted("key", old, false, "an expired version")
	s.absent("key", "after it has expired")
	s.holds("key", s.swap("key", 0, "two", long), "two", "swap after it has expired")
}

func eachSwapSetsTheTTL(s *stateSuite) {
	extended, version := s.prolonged("extended", long)
	kept, forEver := s.prolonged("kept", 0)
	started := time.Now()
	s.swap("cut", s.swap("cut", 0, "value", long), "value", short)
	s.lapse("cut", started)
	s.holds(extended, version, "prolonged", "swapped for longer")
	s.holds(kept, forEver, "prolonged", "swapped for ever")
	if left := s.value(kept).ExpiresIn; left != 0 {
		s.Errorf("a value without expiry expires in %v", left)
	}
}

// prolonged swaps a value for ttl before the short time is over for which it was written.
func (s *stateSuite) prolonged(prefix string, ttl time.Duration) (key string, v state.Version) {
	s.Helper()
	for n := range 100 {
		key := prefix + strconv.Itoa(n)
		old := s.swap(key, 0, "value", short)
		v, swapped, err := s.CompareAndSwap(s.Context(), key, old, []byte("prolonged"), ttl)
		if s.must(err, "swap"); swapped {
			return key, v
		}
		s.absent(key, "after a refused swap") // the machine is slow: the value has expired
	}
	s.Fatal("no value lives long enough to be swapped")
	return "", 0
}

func ageIsSinceTheWrite(s *stateSuite) {
	const slack = time.Millisecond // clocks are adjusted
	first := s.swap("key", 0, "one", long)
	<-time.After(short)
	for _, ttl := range []time.Duration{long, long + time.Millisecond, 0} {
		before := time.Now()
		first = s.swap("key", first, "two", ttl)
		written := time.Now()
		<-time.After(short)
		asked := time.Now()
		v := s.value("key")
		if least, most := asked.Sub(written)-slack, time.Since(before)+slack; v.Age < least || v.Age > most {
			s.Errorf("age %v, want it between %v and %v", v.Age, least, most)
		}
		if total := v.Age + v.ExpiresIn; ttl != 0 && (total < ttl-slack || total > ttl+slack) {
			s.Errorf("a value for %v, aged %v, expires in %v", ttl, v.Age, v.ExpiresIn)
		}
	}
}

func stateKeysAreBytes(s *stateSuite) {
	keys := []string{
		"", " ", "key", "KEY", "key ", " key", "key\n", "key\x00", "key\x00\x00", "\x00", "\xff\xfe", "é", "e\u0301",
		"key:{tag}", "{tag}", "../key", "key/../key", "key%00", "*", "key?", "a\r\nDEL b", "'; DROP TABLE state; --",
		strings.Repeat("k", 4096), strings.Repeat("k", 4097), strings.Repeat("k", 512), strings.Repeat("k", 513),
	}
	versions := map[string]state.Version{}
	for _, key := range keys {
		s.absent(key, "before it is written")
		versions[key] = s.swap(key, 0, "of "+key, long)
	}
	for _, key := range keys {
		s.holds(key, versions[key], "of "+key, "among similar keys")
	}
	for _, key := range keys {
		s.deleted(key, versions[key], true, "one of similar keys")
		s.absent(key, "after its deletion")
	}
}

func dataIsBytes(s *stateSuite) {
	version := state.Version(0)
	for _, data := range []string{
		"", "\x00", "a\x00b", "\xff\xfe", "\r\n", "{}", strings.Repeat("\x00", 100), strings.Repeat("d", state.MaxData),
	} {
		version = s.swap("key", version, data, long)
		s.holds("key", version, data, "as it was stored")
	}
}

func dataIsCopied(s *stateSuite) {
	data := []byte("value")
	version, swapped, err := s.CompareAndSwap(s.Context(), "key", 0, data, long)
	if s.must(err, "swap"); !swapped {
		s.Fatal("swap of an absent key was refused")
	}
	clear(data)
	s.holds("key", version, "value", "after the caller's slice has changed")
	clear(s.value("key").Data)
	s.holds("key", version, "value", "after the slice of an answer has changed")
}

// outOfRangeSwaps is every swap that must be refused for its arguments.
func (s *stateSuite) outOfRangeSwaps(key string, old state.Version) map[string]error {
	swap := func(data []byte, ttl time.Duration) error {
		_, swapped, err := s.CompareAndSwap(s.Context(), key, old, data, ttl)
		if swapped {
			s.Errorf("a swap was carried out with the error %v", err)
		}
		return err
	}
	return map[string]error{
		"data too long":       swap([]byte(strings.Repeat(key+"!", state.MaxData)), long),
		"a byte too long":     swap(make([]byte, state.MaxData+1), long),
		"a negative ttl":      swap([]byte(key), -1),
		"a very negative ttl": swap([]byte(key), -long),
		"a ttl too short":     swap([]byte(key), time.Millisecond-1),
	}
}

func swapOutOfRangeIsRefused(s *stateSuite) {
	version := s.swap("held", 0, "value", long)
	for key, old := range map[string]state.Version{"absent": 0, "held": version} {
		for what, err := range s.outOfRangeSwaps(key, old) {
			var configuration *state.ConfigurationError
			if !errors.As(err, &configuration) || !errors.Is(err, state.ErrState) {
				s.Errorf("%s: got error %v, want a *ConfigurationError", what, err)
			}
		}
	}
	s.absent("absent", "after refused swaps")
	s.holds("held", version, "value", "after refused swaps")
}

// stateCalls is every call with a context, with arguments in range.
func (s *stateSuite) stateCalls(key string, version state.Version) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"get": func(ctx context.Context) error {
			v, found, err := s.Get(ctx, key)
			if err != nil && (found || v.Version != 0) {
				s.Errorf("get: found %v, version %d beside the error %v", found, v.Version, err)
			}
			return err
		},
		"swap": func(ctx context.Context) error {
			v, swapped, err := s.CompareAndSwap(ctx, key, version, []byte(key), long)
			if err != nil && (swapped || v != 0) {
				s.Errorf("swap: swapped %v, version %d beside the error %v", swapped, v, err)
			}
			return err
		},
		"delete": func(ctx context.Context) error {
			deleted, err := s.Delete(ctx, key, version)
			if err != nil && deleted {
				s.Errorf("delete: deleted beside the error %v", err)
			}
			return err
		},
	}
}

// stateObeysContexts wants an error of a context that is over, for a key that is absent too: pitfall 29.
func stateObeysContexts(s *stateSuite) {
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancelLate := context.WithDeadline(s.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	version := s.swap("held", 0, "value", long)
	for ctx, want := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		for key, version := range map[string]state.Version{"absent": 0, "held": version} {
			for op, call := range s.stateCalls(key, version) {
				var unavailable *state.BackendError
				if err := call(ctx); !errors.Is(err, want) || !errors.As(err, &unavailable) || !errors.Is(err, state.ErrState) {
					s.Errorf("%s: got error %v, want a *BackendError with %v", op, err, want)
				}
			}
		}
	}
	s.absent("absent", "after calls with a context that is over")
	s.holds("held", version, "value", "after calls with a context that is over")
}

// stateErrorsAreDiscreet looks for the key, which is the data as well, in every error it can provoke.
func stateErrorsAreDiscreet(s *stateSuite) {
	const secret = "s3cr3t"
	over, cancel := context.WithCancel(s.Context())
	cancel()
	errs := s.outOfRangeSwaps(secret, 0)
	for op, call := range s.stateCalls(secret, 0) {
		errs[op] = call(over)
		s.must(call(s.Context()), op)
	}
	for what, err := range errs {
		if err != nil && strings.Contains(err.Error(), secret) {
			s.Errorf("%s: the error tells the key or the data: %v", what, err)
		}
	}
}
