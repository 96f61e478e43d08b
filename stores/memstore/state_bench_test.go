package memstore_test

import (
	"testing"
	"time"

	"github.com/steadyfx/steady/stores/memstore"
)

func BenchmarkStateGet(b *testing.B) {
	s := memstore.NewState()
	swap(b, s, "payments", 0, time.Hour)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, found, err := s.Get(b.Context(), "payments"); !found || err != nil {
				b.Error(found, err)
			}
		}
	})
}

func BenchmarkStateSwap(b *testing.B) {
	s := memstore.NewState()
	version := swap(b, s, "payments", 0, time.Hour)
	data := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		next, swapped, err := s.CompareAndSwap(b.Context(), "payments", version, data, time.Hour)
		if !swapped || err != nil {
			b.Fatal(swapped, err)
		}
		version = next
	}
}
