package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// Call says which action is meant. Two calls mean the same one if operation, scope and key are the same.
type Call struct {
	Operation   string // what is done, for example "charge"; required; named in errors and events
	Scope       string // on whose behalf: a tenant, a principal; may be empty; never published
	Key         string // required, at most Config.MaxKeyLength bytes; never published
	Fingerprint []byte // of the payload, at most 64 bytes, see [Fingerprint]; empty: payloads are not compared

	// TTL is how long the result is kept if this call makes it; 0: Config.TTL.
	TTL time.Duration
}

// Fingerprint returns the SHA-256 digest of parts. Where one part ends and the next begins counts.
func Fingerprint(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return h.Sum(nil)
}

// validate returns a *ConfigurationError for a call that no store should see.
func (c Call) validate(maxKeyLength int) error {
	if c.Operation != "" && c.Key != "" && len(c.Key) <= maxKeyLength && len(c.Fingerprint) <= maxFingerprint && c.TTL >= 0 {
		return nil // without the cost of collecting mistakes
	}
	var checks patterns.Checks
	checks.That(c.Operation != "", "operation", "must not be empty")
	checks.That(c.Key != "", "key", "must not be empty")
	checks.That(len(c.Key) <= maxKeyLength, "key", "must be at most %d bytes, got %d", maxKeyLength, len(c.Key))
	checks.That(len(c.Fingerprint) <= maxFingerprint, "fingerprint", "must be at most %d bytes, got %d",
		maxFingerprint, len(c.Fingerprint))
	checks.That(c.TTL >= 0, "ttl", "must not be negative, got %v", c.TTL)
	return &ConfigurationError{Err: checks.Err(c.Operation)}
}

// storeKey joins what identifies the action. The lengths keep ("a", "bc") and ("ab", "c") apart, and the first byte those
// with and without a prefix.
func (c Call) storeKey(prefix string) string {
	key := make([]byte, 0, 256)
	if prefix != "" {
		key = append(key, 'p')
		key = strconv.AppendInt(key, int64(len(prefix)), 10)
		key = append(key, ':')
		key = append(key, prefix...)
	}
	for _, part := range [...]string{c.Operation, c.Scope} {
		key = strconv.AppendInt(key, int64(len(part)), 10)
		key = append(key, ':')
		key = append(key, part...)
	}
	return string(append(key, c.Key...))
}

// digest is what events say of a store key.
func digest(storeKey string) string {
	sum := sha256.Sum256([]byte(storeKey))
	return hex.EncodeToString(sum[:8])
}
