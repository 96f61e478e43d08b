package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// worker ships orders.
type worker struct {
	guard *idempotency.Guard

	shipped, duplicates, early atomic.Int64
	shipments                  sync.Map // order -> *atomic.Int64, what the warehouse did
	failedOnce                 sync.Map // orders whose first attempt has failed
}

// shipment is the result that is kept for duplicates.
type shipment struct {
	Parcel string
}

// handle takes a message. A nil error acknowledges it; with any other the queue delivers it again.
func (w *worker) handle(ctx context.Context, m message) error {
	call := idempotency.Call{
		Operation:   "ship",
		Key:         m.ID,                                     // the same in each delivery
		Fingerprint: idempotency.Fingerprint([]byte(m.Order)), // an ID that comes with another order is an error
	}
	result, err := idempotency.Do(ctx, w.guard, call, func(ctx context.Context) (shipment, error) {
		return w.ship(ctx, m)
	})
	var conflict *idempotency.ConflictError
	switch {
	case errors.As(err, &conflict): // another consumer is shipping it: come back later, for its result
		w.early.Add(1)
	case err == nil && result.IsDuplicate:
		w.duplicates.Add(1)
	}
	return err
}

var errNoCourier = errors.New("no courier")

// ship must not happen twice for an order. The first attempt for some orders fails: then nothing has happened, and the
// next delivery may try again.
func (w *worker) ship(_ context.Context, m message) (shipment, error) {
	if _, again := w.failedOnce.LoadOrStore(m.Order, true); !again && m.number%5 == 0 {
		return shipment{}, fmt.Errorf("order %s: %w", m.Order, errNoCourier)
	}
	n, _ := w.shipments.LoadOrStore(m.Order, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	w.shipped.Add(1)
	return shipment{Parcel: "parcel of " + m.Order}, nil
}

// check returns an error if an order was shipped more than once.
func (w *worker) check() error {
	var errs []error
	w.shipments.Range(func(order, n any) bool {
		if times := n.(*atomic.Int64).Load(); times != 1 {
			errs = append(errs, fmt.Errorf("order %s was shipped %d times", order, times))
		}
		return true
	})
	return errors.Join(errs...)
}
