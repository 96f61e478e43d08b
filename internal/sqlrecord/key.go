package sqlrecord

import (
	"crypto/rand"
	"crypto/sha256"
)

// Digest is what the record of a key is stored under.
func Digest(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// NewOwner returns the owner of a new claim.
func NewOwner() (owner [16]byte) {
	rand.Read(owner[:]) // never fails
	return owner
}
