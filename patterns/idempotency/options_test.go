package idempotency_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// A container hands options over in random order: replicas that encrypt with different keys could not read one another.
func TestOptionsThatChangeWhatIsStoredAreGivenOnce(t *testing.T) {
	_, err := idempotency.New(newStore(t), idempotency.Config{},
		idempotency.WithCodec(shouting{1}), idempotency.WithCodec(shouting{1}),
		idempotency.WithEncryption(keyFor("a")), idempotency.WithEncryption(keyFor("b")),
		idempotency.WithRecordedErrors(idempotency.ErrorValue("boom", errBoom)),
		idempotency.WithRecordedErrors(idempotency.ErrorValue("bang", errBoom)))
	wantError[*idempotency.ConfigurationError](t, err)
	wantEqual(t, "fields", fieldsOf(err), []string{"codec", "encryption", "recorded_errors"})
}
