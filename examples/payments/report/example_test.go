package report_test

import (
	"fmt"
	"os"

	"github.com/steadyfx/steady/examples/payments/provider"
	"github.com/steadyfx/steady/examples/payments/report"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/examples/payments/traffic"
)

func Example() {
	books := report.Books{
		Told: []traffic.Payment{{Reference: "order-1", Amount: 1250, Status: 201, ID: "pay_1"}},
		Accepted: []service.Entry{{Accepted: 1, Payment: service.Payment{
			ID: "pay_1", Charge: "ch_1", Order: service.Order{Reference: "order-1"},
		}}},
		Charged: []provider.Charge{
			{ID: "ch_1", Reference: "order-1", Amount: 1250},
			{ID: "ch_2", Reference: "order-1", Amount: 1250},
		},
	}
	verdict := report.Judge(books, report.Summary{}, true)
	verdict.Unexercised = nil // there was no run
	verdict.Write(os.Stdout)
	fmt.Println(verdict.OK())
	// Output:
	// FAIL: order-1: charged 2 times: [ch_1 ch_2]
	// FAIL: order-1: charged as ch_2, but accepted as ch_1
	// false
}
