package idempotency_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// keyFor makes an encryption key of an id.
func keyFor(id string) idempotency.EncryptionKey {
	return idempotency.EncryptionKey{ID: id, Secret: bytes.Repeat([]byte(id[:1]), 32)}
}

const cleartext = "receipt 4711"

// storedFor returns what the store holds for the call of charge.
func storedFor(t *testing.T, store idempotency.Store, key string) []byte {
	t.Helper()
	value, found, err := store.Get(t.Context(), "6:charge0:"+key)
	if err != nil || !found {
		t.Fatalf("%t, %v", found, err)
	}
	return value
}

func TestEncryptedResultIsReplayedAndNotReadable(t *testing.T) {
	store := newStore(t)
	g := guardWith(t, store, idempotency.WithEncryption(keyFor("a")))
	runs := 0
	for range 2 {
		for _, key := range []string{"k", "l"} {
			result, err := idempotency.Do(t.Context(), g, charge(key), returning(&runs, cleartext))
			if err != nil || result.Value != cleartext {
				t.Errorf("got %+v and %v", result, err)
			}
		}
	}
	wantEqual(t, "runs", runs, 2)
	k, l := storedFor(t, store, "k"), storedFor(t, store, "l")
	if bytes.Contains(k, []byte("4711")) || bytes.Equal(k[len(k)-16:], l[len(l)-16:]) {
		t.Errorf("stored: %q and %q", k, l)
	}
}

func TestEncryptionKeysRotate(t *testing.T) {
	store := newStore(t)
	a := guardWith(t, store, idempotency.WithEncryption(keyFor("a")))
	ab := guardWith(t, store, idempotency.WithEncryption(keyFor("a"), keyFor("b")))
	ba := guardWith(t, store, idempotency.WithEncryption(keyFor("b"), keyFor("a")))
	b := guardWith(t, store, idempotency.WithEncryption(keyFor("b")))
	for key, test := range map[string]struct {
		writer       *idempotency.Guard
		reads, fails []*idempotency.Guard
	}{
		"old":     {a, []*idempotency.Guard{a, ab, ba}, []*idempotency.Guard{b}},
		"old too": {ab, []*idempotency.Guard{a, ab, ba}, []*idempotency.Guard{b}},
		"new":     {ba, []*idempotency.Guard{b, ab, ba}, []*idempotency.Guard{a}},
	} {
		runs := 0
		if _, err := idempotency.Do(t.Context(), test.writer, charge(key), returning(&runs, cleartext)); err != nil {
			t.Fatal(err)
		}
		for i, g := range test.reads {
			result, err := idempotency.Do(t.Context(), g, charge(key), returning(&runs, "again"))
			if err != nil || result.Value != cleartext {
				t.Errorf("%s, reader %d: got %+v and %v", key, i, result, err)
			}
		}
		for _, g := range test.fails {
			_, err := idempotency.Do(t.Context(), g, charge(key), returning(&runs, "again"))
			wantEqual(t, key, errorAs[*idempotency.StoreError](t, err).Op, "decrypt")
		}
		wantEqual(t, key+": runs", runs, 1)
	}
}

func TestEncryptedResultBelongsToItsRecord(t *testing.T) {
	store := newStore(t)
	sealed := guardWith(t, store, idempotency.WithEncryption(keyFor("a"), keyFor("b")))
	open := guardWith(t, store)
	runs := 0
	for _, g := range []*idempotency.Guard{sealed, open} {
		key := fmt.Sprint("by ", g == sealed)
		if _, err := idempotency.Do(t.Context(), g, charge(key), returning(&runs, cleartext)); err != nil {
			t.Fatal(err)
		}
	}
	good, plain := storedFor(t, store, "by true"), storedFor(t, store, "by false")
	changed, otherID := bytes.Clone(good), bytes.Clone(good)
	changed[len(changed)-1] ^= 1
	otherID[2] = 'b' // the id of a known key
	for name, test := range map[string]struct {
		guard  *idempotency.Guard
		key    string
		stored []byte
	}{
		"moved to another key": {sealed, "another", good},
		"changed":              {sealed, "by true", changed},
		"another id":           {sealed, "by true", otherID},
		"cut":                  {sealed, "by true", good[:10]},
		"cut in the id":        {sealed, "by true", []byte{good[0], 200}},
		"format only":          {sealed, "by true", good[:1]},
		"empty":                {sealed, "by true", nil},
		"not encrypted":        {sealed, "by true", plain},
		"no keys":              {open, "by true", good},
	} {
		if err := store.Set(t.Context(), "6:charge0:"+test.key, test.stored, 0); err != nil {
			t.Fatal(err)
		}
		_, err := idempotency.Do(t.Context(), test.guard, charge(test.key), returning(&runs, "again"))
		if !errors.As(err, new(*idempotency.StoreError)) || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	wantEqual(t, "runs", runs, 2)
}

func TestEncryptionCoversProcessErrorsAndMiddleware(t *testing.T) {
	store := newStore(t)
	g := guardWith(t, store, idempotency.WithEncryption(keyFor("a")),
		idempotency.WithRecordedErrors(idempotency.ErrorValue("sold_out", errSoldOut)))
	for range 2 {
		result, err := idempotency.Process(t.Context(), g, charge("bytes"), returning(new(int), []byte(cleartext)))
		if err != nil || string(result.Value) != cleartext {
			t.Errorf("got %+v and %v", result, err)
		}
		if _, err := idempotency.Do(t.Context(), g, charge("error"), failing(0, errSoldOut)); !errors.Is(err, errSoldOut) {
			t.Errorf("got %v", err)
		}
	}
	for _, key := range []string{"bytes", "error"} {
		if stored := storedFor(t, store, key); bytes.Contains(stored, []byte("4711")) || bytes.Contains(stored, []byte("sold")) {
			t.Errorf("stored: %q", stored)
		}
	}
	var runs atomic.Int32
	h := idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs))
	for range 2 {
		w := post(h, "k")
		wantEqual(t, "response", fmt.Sprint(w.Code, " ", w.Body), fmt.Sprint(http.StatusCreated, " run 1"))
	}
}

func TestEncryptionKeysAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		keys   []idempotency.EncryptionKey
		fields []string
	}{
		"nothing":      {[]idempotency.EncryptionKey{{}}, []string{"encryption[0]", "encryption[0]"}},
		"short secret": {[]idempotency.EncryptionKey{keyFor("a"), {ID: "b", Secret: []byte("4711")}}, []string{"encryption[1]"}},
		"same id":      {[]idempotency.EncryptionKey{keyFor("a"), keyFor("a")}, []string{"encryption[1]"}},
		"long id":      {[]idempotency.EncryptionKey{keyFor(strings.Repeat("a", 65))}, []string{"encryption[0]"}},
	} {
		_, err := idempotency.New(newStore(t), idempotency.Config{}, idempotency.WithEncryption(test.keys[0], test.keys[1:]...))
		wantError[*idempotency.ConfigurationError](t, err)
		wantEqual(t, name, fieldsOf(err), test.fields)
		if strings.Contains(err.Error(), "4711") {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	key := idempotency.EncryptionKey{ID: "a", Secret: []byte("opensesame")}
	text, _ := json.Marshal(key)
	for _, printed := range []string{
		fmt.Sprint(key), fmt.Sprintf("%+v %#v %x %q", key, key, key, &key), fmt.Sprint([]idempotency.EncryptionKey{key}), string(text),
	} {
		for _, secret := range []string{"opensesame", fmt.Sprintf("%x", "opensesame"), fmt.Sprint([]byte("opensesame")), "b3BlbnNlc2FtZQ"} {
			if strings.Contains(printed, secret) {
				t.Errorf("printed: %s", printed)
			}
		}
	}
	wantEqual(t, "printed", fmt.Sprint(key), "encryption key a")
}
