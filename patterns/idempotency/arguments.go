package idempotency

import (
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
)

const (
	maxFingerprint = 64
	minLease       = time.Millisecond
)

// Validate returns a [*ConfigurationError] that lists everything in r that is out of range. It is for implementations
// of [Store].
func (r ClaimRequest) Validate() error {
	if len(r.Fingerprint) <= maxFingerprint && r.Lease >= minLease && r.Retention >= 0 {
		return nil // without the cost of collecting mistakes
	}
	var checks patterns.Checks
	checks.That(len(r.Fingerprint) <= maxFingerprint, "fingerprint",
		"must be at most %d bytes, got %d", maxFingerprint, len(r.Fingerprint))
	checks.That(r.Lease >= minLease, "lease", "must be at least %v, got %v", minLease, r.Lease)
	checks.That(r.Retention >= 0, "retention", "must not be negative, got %v", r.Retention)
	return &ConfigurationError{Err: checks.Err("")}
}

// ValidateLease returns a [*ConfigurationError] if lease is shorter than a millisecond. It is for implementations of
// [Store].
func ValidateLease(lease time.Duration) error {
	return ClaimRequest{Lease: lease}.Validate()
}

// ValidateTTL returns a [*ConfigurationError] if ttl is negative. It is for implementations of [Store].
func ValidateTTL(ttl time.Duration) error {
	if ttl >= 0 {
		return nil
	}
	return &ConfigurationError{Err: &patterns.FieldError{
		Field: "ttl", Problem: fmt.Sprintf("must not be negative, got %v", ttl),
	}}
}
