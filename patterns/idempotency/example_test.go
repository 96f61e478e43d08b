package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func exampleGuard() *idempotency.Guard {
	store, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		panic(err)
	}
	guard, err := idempotency.New(store, idempotency.DefaultConfig())
	if err != nil {
		panic(err)
	}
	return guard
}

func Example() {
	store, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		panic(err)
	}
	guard, err := idempotency.New(store, idempotency.DefaultConfig())
	if err != nil {
		panic(err)
	}
	call := idempotency.Call{
		Operation: "charge", Scope: "tenant-7", Key: "order-1042",
		Fingerprint: idempotency.Fingerprint([]byte("EUR"), []byte("1999")),
	}
	for range 2 {
		result, err := idempotency.Do(context.Background(), guard, call, func(context.Context) (string, error) {
			fmt.Println("charging")
			return "receipt 1", nil
		})
		fmt.Println(result.Value, result.IsDuplicate, err)
	}
	// Output:
	// charging
	// receipt 1 false <nil>
	// receipt 1 true <nil>
}

func ExampleDo_mismatch() {
	guard := exampleGuard()
	for _, amount := range []string{"1999", "2999"} {
		call := idempotency.Call{
			Operation: "charge", Key: "order-1042", Fingerprint: idempotency.Fingerprint([]byte(amount)),
		}
		result, err := idempotency.Do(context.Background(), guard, call, func(context.Context) (string, error) {
			return "charged " + amount, nil
		})
		fmt.Println(result.Value, err)
	}
	// Output:
	// charged 1999 <nil>
	//  idempotency: charge: this key was already used with a different payload; use a new key
}

func ExampleWrap() {
	type order struct {
		ID     string `json:"id"`
		Amount int    `json:"amount"`
	}
	charge := idempotency.Wrap(exampleGuard(), "charge", nil, func(_ context.Context, o order) (string, error) {
		fmt.Println("charging", o.Amount)
		return "receipt for " + o.ID, nil
	})
	for range 2 {
		receipt, err := charge(context.Background(), order{ID: "1042", Amount: 1999})
		fmt.Println(receipt, err)
	}
	// Output:
	// charging 1999
	// receipt for 1042 <nil>
	// receipt for 1042 <nil>
}

func ExampleWrapCall() {
	type order struct {
		ID     string `json:"id"`
		Amount int    `json:"amount"`
	}
	type tenant struct{}
	charge := idempotency.WrapCall(exampleGuard(), func(ctx context.Context, o order) (idempotency.Call, error) {
		name, _ := ctx.Value(tenant{}).(string)
		return idempotency.Call{Operation: "charge", Scope: name, Key: o.ID, TTL: 24 * time.Hour}, nil
	}, func(_ context.Context, o order) (string, error) {
		return fmt.Sprintf("charged %d", o.Amount), nil
	})
	for _, name := range []string{"acme", "globex", "acme"} {
		fmt.Println(charge(context.WithValue(context.Background(), tenant{}, name), order{ID: "1042", Amount: 1999}))
	}
	fmt.Println(charge(context.WithValue(context.Background(), tenant{}, "acme"), order{ID: "1042", Amount: 2999}))
	// Output:
	// charged 1999 <nil>
	// charged 1999 <nil>
	// charged 1999 <nil>
	//  idempotency: charge: this key was already used with a different payload; use a new key
}

func ExampleProcess() {
	guard := exampleGuard()
	type message struct{ id, body string }
	consume := func(m message) {
		call := idempotency.Call{Operation: "ship", Key: m.id, Fingerprint: idempotency.Fingerprint([]byte(m.body))}
		result, err := idempotency.Process(context.Background(), guard, call, func(context.Context) ([]byte, error) {
			fmt.Println("shipping", m.body)
			return []byte("parcel 1"), nil
		})
		fmt.Println(string(result.Value), result.IsDuplicate, err)
	}
	consume(message{"m-1", "order 1042"})
	consume(message{"m-1", "order 1042"}) // delivered again
	// Output:
	// shipping order 1042
	// parcel 1 false <nil>
	// parcel 1 true <nil>
}

var errOutOfStock = errors.New("sold out")

func ExampleWithRecordedErrors() {
	store, err := memstore.NewIdempotency(memstore.Config{})
	if err != nil {
		panic(err)
	}
	guard, err := idempotency.New(store, idempotency.DefaultConfig(),
		idempotency.WithRecordedErrors(idempotency.ErrorValue("sold_out", errOutOfStock)))
	if err != nil {
		panic(err)
	}
	for range 2 {
		result, err := idempotency.Do(context.Background(), guard, idempotency.Call{Operation: "order", Key: "1042"},
			func(context.Context) (int, error) {
				fmt.Println("ordering")
				return 0, fmt.Errorf("order 1042: %w", errOutOfStock)
			})
		fmt.Println(result.IsDuplicate, err, errors.Is(err, errOutOfStock))
	}
	// Output:
	// ordering
	// false order 1042: sold out true
	// true order 1042: sold out true
}

func ExampleMiddleware() {
	tenant := func(r *http.Request) string { return r.Header.Get("X-Tenant") } // better: what authentication has found
	protect := idempotency.Middleware(exampleGuard(), tenant, idempotency.WithRequiredKey())
	mux := http.NewServeMux()
	mux.Handle("POST /payments", protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("charging")
		w.Header().Set("Location", "/payments/1")
		w.WriteHeader(http.StatusCreated)
	})))

	pay := func(key, body string) {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/payments", strings.NewReader(body))
		r.Header.Set("X-Tenant", "7")
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Printf("%d %q %q\n", w.Code, w.Header().Get("Location"), w.Header().Get("Idempotent-Replayed"))
	}
	pay(`"order-1042"`, `{"amount": 1999}`)
	pay(`"order-1042"`, `{"amount": 1999}`)
	pay(`"order-1042"`, `{"amount": 2999}`)
	pay("", `{"amount": 1999}`)
	// Output:
	// charging
	// 201 "/payments/1" ""
	// 201 "/payments/1" "true"
	// 422 "" ""
	// 400 "" ""
}
