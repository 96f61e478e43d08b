package memstore

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// The expected values are those of the reference implementation.
func TestDigestIsSipHash(t *testing.T) {
	var message []byte
	for i := range 64 {
		message = append(message, byte(i))
	}
	s := secret{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for length, want := range map[int]string{
		0:  "a3817f04ba25a8e66df67214c7550293",
		1:  "da87c1d86b99af44347659119b22fc45",
		7:  "a1f1ebbed8dbc153c0b84aa61ff08239",
		8:  "3b62a9ba6258f5610f83e264f31497b4",
		9:  "264499060ad9baabc47f8b02bb6d71ed",
		15: "5493e99933b0a8117e08ec0f97cfc3d9",
		63: "5150d1772f50834a503e069a973fbd7c",
	} {
		d := s.digest(string(message[:length]))
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, d.a), d.b)
		if hex.EncodeToString(got) != want {
			t.Errorf("of %d bytes: got %x, want %s", length, got, want)
		}
	}
}

func TestStoresShareNoSecret(t *testing.T) {
	if a, b := newSecret(), newSecret(); a == b || a.a == a.b {
		t.Errorf("got secrets %v and %v", a, b)
	}
}

func BenchmarkDigest(b *testing.B) {
	s := newSecret()
	for _, length := range []int{12, 64, 512} {
		b.Run(fmt.Sprintf("bytes=%d", length), func(b *testing.B) {
			key := strings.Repeat("k", length)
			b.ReportAllocs()
			for b.Loop() {
				s.digest(key)
			}
		})
	}
}
