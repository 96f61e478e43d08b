package provider_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/steadyfx/steady/examples/payments/provider"
)

// The answer to the first request is lost; the second one gets the charge that it made.
func Example() {
	bank := provider.NewServer([]provider.Phase{{Name: "healthy"}}, 1)
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "/charges",
			strings.NewReader(`{"reference":"order-1","account":"acct-17","amount":1250,"currency":"EUR"}`))
		r.Header.Set("Idempotency-Key", "order-1")
		answer := httptest.NewRecorder()
		bank.ServeHTTP(answer, r)
		fmt.Println(answer.Code)
	}
	for _, charge := range bank.Charges() {
		fmt.Println(charge.ID, charge.Reference, charge.Amount, charge.Currency)
	}
	// Output:
	// 201
	// 201
	// ch_000001 order-1 1250 EUR
}
