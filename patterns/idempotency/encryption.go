package idempotency

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"github.com/steadyfx/steady/patterns"
)

// EncryptionKey is an AES key. See [WithEncryption].
type EncryptionKey struct {
	ID     string // stored with each result; 1 to 64 bytes, and another one for every secret
	Secret []byte `json:"-"` // 16, 24 or 32 random bytes
}

// Format prints the ID and never the secret.
func (k EncryptionKey) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "encryption key "+k.ID) }

const maxKeyID = 64

// keyring encrypts under its first key and decrypts under all.
//
// An encrypted result is stored as the format byte, the id of its key after its length, and what AES-GCM makes of it
// with the key of the record as the associated data.
type keyring struct {
	ids     []string
	ciphers []cipher.AEAD
}

func newKeyring(checks *patterns.Checks, keys []EncryptionKey) *keyring {
	ring := &keyring{}
	used := map[string]bool{}
	for i, key := range keys {
		field := fmt.Sprintf("encryption[%d]", i)
		checks.That(key.ID != "" && len(key.ID) <= maxKeyID, field, "must have an ID of 1 to %d bytes", maxKeyID)
		checks.That(!used[key.ID], field, "must have an ID of its own, %q is that of another", key.ID)
		used[key.ID] = true
		aead, err := newAEAD(key.Secret)
		checks.That(err == nil, field, "must have a secret of 16, 24 or 32 bytes, got %d", len(key.Secret))
		ring.ids, ring.ciphers = append(ring.ids, key.ID), append(ring.ciphers, aead)
	}
	return ring
}

func newAEAD(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts the result of a record. Without a keyring it returns it as it is.
func (r *keyring) seal(recordKey string, result []byte) []byte {
	if r == nil {
		return result
	}
	return r.ciphers[0].Seal(appendText([]byte{formatSealed}, r.ids[0]), nil, result, []byte(recordKey))
}

// open decrypts what is stored as the result of a record.
func (r *keyring) open(recordKey string, stored []byte) ([]byte, error) {
	sealed := len(stored) > 0 && stored[0] == formatSealed
	switch {
	case r == nil && !sealed:
		return stored, nil
	case r == nil:
		return nil, errors.New("the stored result is encrypted, and this guard has no keys")
	case !sealed:
		return nil, errors.New("the stored result is not encrypted")
	}
	in := input{rest: stored[1:]}
	id := in.text()
	for i := range r.ids {
		if in.broken || r.ids[i] != id {
			continue
		}
		result, err := r.ciphers[i].Open(nil, nil, in.rest, []byte(recordKey))
		if err != nil {
			return nil, errors.New("the stored result was changed, or is that of another key")
		}
		return result, nil
	}
	return nil, errors.New("the stored result is encrypted under a key that this guard does not have")
}
