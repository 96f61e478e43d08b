// Package histories checks what a store has done under concurrency and faults against what it says it does.
//
// Where the suites of stores/storetest ask a store one thing at a time, or many things at the same moment, a check of
// this package lets random clients work, writes down what each of them saw and when, and then looks whether there is
// any order of events that explains it:
//
//	func TestHistories(t *testing.T) {
//		server := services.Postgres(t)
//		proxy := faults.New(t, server.Addr())
//		mix := faults.Mix{CutRequest: 0.03, CutAnswer: 0.03, DelayAnswer: 0.05, Delay: 20 * time.Millisecond}
//		if err := proxy.Inject(mix); err != nil {
//			t.Fatal(err)
//		}
//		url, err := proxy.URL(server.URL)
//		if err != nil {
//			t.Fatal(err)
//		}
//		open := func(t *testing.T) idempotency.Store { return openStore(t, url) }
//		histories.Idempotency(t, open, histories.Options{})
//	}
//
// Where a store needs its network to be made, make it before the faults begin. Its client has to give up in time on a
// call that gets no answer: one that ends with an [idempotency.BackendError] may have been carried out, or may be yet.
package histories
