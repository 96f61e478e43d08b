package idempotency

import (
	"errors"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// Option changes a [Guard] or a [Janitor], which knows only [WithBus]. Of those that change what is stored, a guard takes
// one of each kind.
type Option func(*options)

type options struct {
	bus    *hooks.Bus
	codecs codecs
	keys   *keyring
	errors []ErrorKind
	checks patterns.Checks // of the options themselves
}

// twice is wrong because options can come in random order, from a container: which one holds would be a matter of luck.
const twice = "must not be given more than once"

// WithBus sends the events to bus. Without it they go nowhere.
func WithBus(bus *hooks.Bus) Option { return func(o *options) { o.bus = bus } }

// WithCodec stores results as codec writes them, instead of as JSON. What was stored by one of older, or as JSON, can
// still be read, so that a codec can be replaced while there are results in the store.
func WithCodec(codec Codec, older ...Codec) Option {
	return func(o *options) {
		o.checks.That(o.codecs == nil, "codec", twice)
		o.codecs = newCodecs(&o.checks, append([]Codec{codec}, older...))
	}
}

// WithEncryption encrypts results before they are stored, with AES-GCM under the current key. Those that were stored
// under an older key can still be read: to replace a key, first give the new one to every process as an older one,
// then make it the current one, and drop the former when Config.TTL has passed. One key is good for 2^32 results.
//
// A result is bound to its record: moved to another key, or changed, it cannot be read. One that is not encrypted, or
// not under a known key, cannot be read either: its duplicates get a [*StoreError] until it expires. Keys and
// fingerprints are not encrypted.
func WithEncryption(current EncryptionKey, older ...EncryptionKey) Option {
	return func(o *options) {
		o.checks.That(o.keys == nil, "encryption", twice)
		o.keys = newKeyring(&o.checks, append([]EncryptionKey{current}, older...))
	}
}

// WithRecordedErrors makes some errors of functions results: an error that one of kinds recognizes, in their order, uses
// the key up as a value does, and duplicates get it as a [*RecordedError]. It is for the failures that would be the
// same each time: a card that was declined, an order that does not exist. All other errors give the key back.
// It does not concern a [Middleware], whose handlers answer with a status.
func WithRecordedErrors(kinds ...ErrorKind) Option {
	return func(o *options) {
		o.checks.That(o.errors == nil, "recorded_errors", twice)
		checkKinds(&o.checks, kinds)
		o.errors = kinds
	}
}

// settle completes and checks what [New] and [NewJanitor] are given.
func settle(store Store, cfg Config, opts []Option) (Config, options, error) {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.That(store != nil, "store", "must not be nil")
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if err := errors.Join(checks.Err(""), cfg.Validate(), o.checks.Err("")); err != nil {
		return Config{}, options{}, &ConfigurationError{Err: err}
	}
	return cfg, o, nil
}
