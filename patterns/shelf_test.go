package patterns_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/steadyfx/steady/patterns"
)

// built is an instance; a negative size is a mistake.
type built struct {
	name string
	size int
}

func build(name string, size int) (*built, error) {
	var checks patterns.Checks
	checks.Name(name)
	checks.That(size >= 0, "size", "must not be negative, got %d", size)
	if err := checks.Err("thing"); err != nil {
		return nil, err
	}
	return &built{name, size}, nil
}

func TestShelfMakesOneInstanceForAName(t *testing.T) {
	s, err := patterns.NewShelf(patterns.Instances[int]{Default: 1, Named: map[string]int{"b": 2}}, build)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Get("b"); ok {
		t.Error("an instance that nobody asked for")
	}
	got := make([]*built, 16)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], _ = s.GetOrCreate("b") })
	}
	wg.Wait()
	for _, b := range got {
		if b == nil || b != got[0] || b.size != 2 {
			t.Fatalf("got %+v and %+v", b, got[0])
		}
	}
	if c, err := s.GetOrCreate("c", 3); err != nil || c.size != 3 {
		t.Errorf("with a configuration: %+v, %v", c, err)
	}
	if a, err := s.GetOrCreate("a"); err != nil || a.size != 1 {
		t.Errorf("without one: %+v, %v", a, err)
	}
	if b, err := s.GetOrCreate("b", 9); err != nil || b != got[0] {
		t.Errorf("one that exists: %+v, %v", b, err)
	}
	var names []string
	for _, b := range s.All() {
		names = append(names, b.name)
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("got %v", names)
	}
}

func TestShelfKnowsEveryMistakeAtOnce(t *testing.T) {
	_, err := patterns.NewShelf(patterns.Instances[int]{Default: -1, Named: map[string]int{"a": -2, "": 0}}, build)
	if !errors.Is(err, patterns.ErrConfiguration) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"default.size: ", "instances.a.size: ", "instances..name: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	s, err := patterns.NewShelf(patterns.Instances[int]{}, build)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.GetOrCreate("a", -1); err == nil || b != nil || len(s.All()) != 0 {
		t.Errorf("got %+v, %v", b, err)
	}
}

func TestShelfReconfiguresWhatItHasMadeOfItsOwn(t *testing.T) {
	s, err := patterns.NewShelf(patterns.Instances[int]{Default: 1}, build)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.GetOrCreate("a")
	b, _ := s.GetOrCreate("b")
	given, _ := s.GetOrCreate("given", 7)
	change := func(b *built, size int) error {
		if size == 13 {
			return errors.New("not thirteen")
		}
		b.size = size
		return nil
	}
	err = s.Reconfigure(patterns.Instances[int]{Default: 2, Named: map[string]int{"b": -1}}, change)
	if !errors.Is(err, patterns.ErrConfiguration) || a.size != 1 || b.size != 1 {
		t.Errorf("got %v, sizes %d and %d", err, a.size, b.size)
	}
	err = s.Reconfigure(patterns.Instances[int]{Default: 2, Named: map[string]int{"b": 13}}, change)
	if err == nil || err.Error() != "not thirteen" {
		t.Errorf("got %v", err)
	}
	if c, _ := s.GetOrCreate("c"); a.size != 2 || b.size != 1 || given.size != 7 || c.size != 2 {
		t.Errorf("sizes are %d, %d, %d and %d", a.size, b.size, given.size, c.size)
	}
}

func TestShelfEndsWithOneConfigurationForAll(t *testing.T) {
	type instance struct{ size atomic.Int64 }
	s, err := patterns.NewShelf(patterns.Instances[int]{}, func(_ string, size int) (*instance, error) {
		made := &instance{}
		made.size.Store(int64(size))
		return made, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				if _, err := s.GetOrCreate(strconv.Itoa(i)); err != nil {
					t.Error(err)
				}
				if i%20 == g {
					err := s.Reconfigure(patterns.Instances[int]{Default: 1000*g + i}, func(in *instance, size int) error {
						in.size.Store(int64(size))
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	want, err := s.GetOrCreate("new")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range s.All() {
		if in.size.Load() != want.size.Load() {
			t.Fatalf("sizes %d and %d", in.size.Load(), want.size.Load())
		}
	}
}
