package sqlitestore

import (
	"context"
	"database/sql"
)

// Writer returns the connection that writes.
func (s *Idempotency) Writer(ctx context.Context) (*sql.DB, error) {
	f, err := s.file.Get(ctx)
	if err != nil {
		return nil, err
	}
	return f.writer, nil
}

// Readers returns the connections that only read.
func (s *Idempotency) Readers(ctx context.Context) (*sql.DB, error) {
	f, err := s.file.Get(ctx)
	if err != nil {
		return nil, err
	}
	return f.readers, nil
}

// Occupy takes the seats of all who read, until leave is called.
func (s *Idempotency) Occupy(ctx context.Context) (leave func(), err error) {
	f, err := s.file.Get(ctx)
	if err != nil {
		return nil, err
	}
	for range cap(f.seats) {
		f.seats <- struct{}{}
	}
	return func() {
		for range cap(f.seats) {
			<-f.seats
		}
	}, nil
}
