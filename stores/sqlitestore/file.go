package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// file is an open file with its statements. SQLite has one writer at a time, so there is one connection that writes,
// for which the calls of this process queue up in order, until their contexts end. No transaction begins as a reader
// and goes on as a writer, which would fail as soon as somebody else had written: each write is one statement, which
// takes the lock at its start.
//
// To read, a call takes one of the seats, of which there is one for each connection that reads.
type file struct {
	readers, writer *sql.DB
	seats           chan struct{}

	read                                                   *sql.Stmt
	claim, complete, extend, release, set, remove, cleanup *sql.Stmt
}

// openFile opens the file and makes the table if it is not there.
func openFile(ctx context.Context, path, table string) (*file, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f := &file{}
	err := f.open(ctx, path, table)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *file) open(ctx context.Context, path, table string) (err error) {
	if f.writer, err = sql.Open("sqlite", uri(path, "rwc", "synchronous(FULL)")); err != nil {
		return err
	}
	f.writer.SetMaxOpenConns(1)
	if err := setUp(ctx, f.writer, table); err != nil {
		return err
	}
	if f.readers, err = sql.Open("sqlite", uri(path, "rw", "query_only(1)")); err != nil {
		return err
	}
	n := max(2, runtime.GOMAXPROCS(0))
	f.readers.SetMaxOpenConns(n)
	f.readers.SetMaxIdleConns(n)
	f.seats = make(chan struct{}, n)
	text := statementsFor(table)
	for _, p := range []struct {
		stmt **sql.Stmt
		db   *sql.DB
		text string
	}{
		{&f.read, f.readers, text.read}, {&f.claim, f.writer, text.claim}, {&f.complete, f.writer, text.complete},
		{&f.extend, f.writer, text.extend}, {&f.release, f.writer, text.release}, {&f.set, f.writer, text.set},
		{&f.remove, f.writer, text.remove}, {&f.cleanup, f.writer, text.cleanup},
	} {
		if *p.stmt, err = p.db.PrepareContext(ctx, p.text); err != nil {
			return err
		}
	}
	return nil
}

// close also closes the statements, which belong to the pools.
func (f *file) close() error {
	var err error
	for _, db := range []*sql.DB{f.readers, f.writer} { // the writer last: it tidies up the journal
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// reading makes a call that reads. A reader that has a connection waits for nobody, so the call goes on after the end of
// ctx: to watch ctx, database/sql and the driver would each start a goroutine, for a time of the length of the call.
func (f *file) reading(ctx context.Context, call func(context.Context) error) error {
	select {
	case f.seats <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.seats }()
	return call(context.WithoutCancel(ctx))
}

// look reads the record of a key.
func (f *file) look(ctx context.Context, digest [32]byte) (row sqlrecord.Row, err error) {
	err = f.reading(ctx, func(ctx context.Context) (err error) {
		row, err = f.find(ctx, digest)
		return err
	})
	return row, err
}

func (f *file) find(ctx context.Context, digest [32]byte) (sqlrecord.Row, error) {
	var row sqlrecord.Row
	err := f.read.QueryRowContext(ctx, digest[:]).Scan(&row.State, &row.Owner, &row.Fence, &row.Fingerprint,
		&row.Created, &row.Stored, &row.Expires, &row.Result, &row.Now)
	if errors.Is(err, sql.ErrNoRows) {
		return sqlrecord.Row{}, nil
	}
	if err == nil {
		err = row.Check()
	}
	return row, err
}

// acquire makes a record, or takes over one that is as good as absent.
func (f *file) acquire(
	ctx context.Context, digest [32]byte, owner [16]byte, req idempotency.ClaimRequest,
) (fence int64, acquired bool, err error) {
	err = f.claim.QueryRowContext(ctx, digest[:], owner[:], fingerprint(req), sqlrecord.Micros(req.Lease),
		sqlrecord.Grace(req)).Scan(&fence)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return fence, err == nil, err
}

// change writes and returns how many records were there to be changed.
func (f *file) change(ctx context.Context, stmt *sql.Stmt, args ...any) (int64, error) {
	res, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// fingerprint is not NULL.
func fingerprint(req idempotency.ClaimRequest) []byte {
	if req.Fingerprint == nil {
		return []byte{}
	}
	return req.Fingerprint
}

// checkSchema looks at the table over a connection of its own, which cannot write.
func checkSchema(ctx context.Context, path, table string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", uri(path, "ro", "query_only(1)"))
	if err != nil {
		return err
	}
	found, err := describe(ctx, db, table)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return fits(table, found)
}

// uri is what the driver opens, with a pragma for each connection. A path can hold what means something in a URI. A
// connection that finds the file locked says so at once: SQLite would wait without looking at the context.
func uri(path, mode, pragma string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	query := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(0)", pragma}}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	return u.String()
}

// absolute makes a path independent of the folder that the process is in when a connection is opened.
func absolute(path string) (string, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", &idempotency.ConfigurationError{Err: fmt.Errorf("%s: path: %w", backend, err)}
	}
	return whole, nil
}

// checkFolder says what SQLite only says with the number of an error.
func checkFolder(folder string) error {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the folder of the file is not there, make it first: %w", err)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", folder)
	}
	return nil
}
