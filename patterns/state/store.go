package state

import (
	"context"
	"iter"
	"time"
)

// Store keeps small values, each with a version, for everybody who shares the backend. Implementations are safe for
// concurrent use by any number of processes; the suite in stores/storetest says in tests what this comment says in
// words.
//
// A key is any string, empty included; two keys are the same only if their bytes are. A value is at most [MaxData]
// bytes; nil and empty are not told apart. Slices are copied, in and out.
//
// Get, CompareAndSwap and Delete of a key are linearizable: each takes effect at one moment between its call and its
// return, for all processes in the same order, as long as the backend loses nothing that it has acknowledged. Each is
// one round trip, bounded by its context, and holds nothing in the backend once it has returned.
//
// Times are measured by the clock of the backend, never by that of the caller. A value whose time is up is as good as
// deleted. It never expires early; a backend that cannot do it to the millisecond says how late it is.
//
// Errors are a [*BackendError] when the backend could not be asked or did not answer in time, a [*StoreError] when what
// it holds or answers is none of ours, and a [*ConfigurationError] for an argument out of range. None of them says that
// a key is absent: nothing is known about it then, and after a BackendError a write may have been carried out all the
// same, or be carried out later. No error holds a key or a value. That somebody else was faster is no error.
type Store interface {
	// Get returns the value of a key. Where there is none, found is false and the version 0.
	Get(ctx context.Context, key string) (v Value, found bool, err error)

	// CompareAndSwap stores data for ttl (0: without expiry, else at least a millisecond) if the key is at version old,
	// where 0 is the version of an absent key. It returns the new version. If the key is at another version, nothing
	// is written and swapped is false; that is only said of a swap that was not carried out.
	CompareAndSwap(ctx context.Context, key string, old Version, data []byte, ttl time.Duration) (
		v Version, swapped bool, err error)

	// Delete removes the value of a key if it is at the given version. If the key is at another version, or absent,
	// nothing is written and deleted is false; that is only said of a deletion that was not carried out.
	Delete(ctx context.Context, key string, version Version) (deleted bool, err error)

	// Watch tells what becomes of a key: first its value as it is, then, whenever it has changed, the newest. Without
	// an error, a Value of version 0 says that the key is absent. Watch ends when ctx does, with nothing more to say,
	// or when the loop over it is left.
	//
	// What happens between two turns of the loop comes as one change, and what is back where it was need not come at
	// all: a Watch tells of states, not of writes. No version is told twice in a row, and as long as the backend loses
	// nothing, no value is told after a later one. The last change always comes: at once where the backend sends word,
	// and otherwise after a delay that the store names.
	//
	// A turn with an error says that the watch cannot see for now, and may have missed changes. It goes on by itself,
	// at a pace of its own. When it can see again, the next turn is the value as it is then, changed or not.
	//
	// Nobody waits for a slow loop: neither those who write nor other watches. Each loop over what Watch returns is a
	// watch of its own, and what it needs is given back when it ends.
	Watch(ctx context.Context, key string) iter.Seq2[Value, error]
}

// Version names one write of a key. The versions of a key grow from write to write, across deletion and expiry too, so
// that one that was seen once never names anything else. What a backend needs for that promise, its store says. The
// versions of different keys have nothing to do with each other. An absent key is at version 0.
type Version int64

// Value is a snapshot of a key.
type Value struct {
	Data    []byte
	Version Version

	// Age is the time since this version was written. A time that a value holds is best an age too, of something at the
	// moment of the write: add Age, and no clocks need to agree.
	Age time.Duration

	ExpiresIn time.Duration // what is left of the ttl; 0: it does not expire
}

// MaxData is the size of the largest value, in bytes.
const MaxData = 64 << 10
