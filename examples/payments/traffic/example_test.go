package traffic_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/examples/payments/traffic"
)

// A service that answers every request anew is found out.
func Example() {
	var n atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"pay_%d"}`, n.Add(1))
	}))
	defer service.Close()
	clients := traffic.New(traffic.Options{
		URL:  func() string { return service.URL },
		Seed: 1, Customers: 1, Payments: 5, Duration: time.Minute, Grace: time.Minute,
	})
	offences := 0
	for _, payment := range clients.Run(context.Background()) {
		offences += len(payment.Offences)
	}
	fmt.Println(clients.Counts().Accepted, "payments accepted, offences:", offences > 0)
	// Output: 5 payments accepted, offences: true
}
