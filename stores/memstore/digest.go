package memstore

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// secret is what digests are made with. Each store has its own.
type secret struct{ a, b uint64 }

// digest stands for a key: 16 bytes, however long the key is. Keys that have the same digest would share a record, so
// nobody may be able to find two of them: it is as good as random to whoever does not know the secret, and any of its
// bits serve as a hash.
type digest struct{ a, b uint64 }

func newSecret() secret {
	var random [16]byte
	rand.Read(random[:]) // never fails
	return secret{binary.LittleEndian.Uint64(random[:]), binary.LittleEndian.Uint64(random[8:])}
}

// digest is SipHash-2-4 with an output of 128 bits: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF",
// 2012, and its reference implementation.
func (s secret) digest(key string) (d digest) {
	v0, v1 := s.a^0x736f6d6570736575, s.b^0x646f72616e646f6d
	v2, v3 := s.a^0x6c7967656e657261, s.b^0x7465646279746573
	v1 ^= 0xee
	for rest, last := []byte(key), false; !last; { // this conversion copies nothing
		var word uint64
		if last = len(rest) < 8; last {
			word = uint64(len(key)) << 56
			for i, b := range rest {
				word |= uint64(b) << (8 * i)
			}
		} else {
			word, rest = binary.LittleEndian.Uint64(rest), rest[8:]
		}
		v3 ^= word
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= word
	}
	v2 ^= 0xee
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	d.a = v0 ^ v1 ^ v2 ^ v3
	v1 ^= 0xdd
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	d.b = v0 ^ v1 ^ v2 ^ v3
	return d
}

// sipRound is small enough for the compiler to inline it.
func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v1
	v0 += v3
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
