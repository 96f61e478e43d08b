package main

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"

	"github.com/steadyfx/steady/stores/mysqlstore"
	"github.com/steadyfx/steady/stores/sqlitestore"
	"github.com/steadyfx/steady/testkit/services"
)

// What a program that does without a store prepares once, for MariaDB and SQLite. Times are constants.
const (
	plainInsert = "INSERT INTO " + plainTable + " (`key`, state, owner, fence, fingerprint, created_at, stored_at, expires_at, " +
		"purge_after, result) VALUES (?, 1, x'00000000000000000000000000000000', 1, ?, 1, 0, 2, 3, NULL)"
	plainUpdate = "UPDATE " + plainTable + " SET state = 2, result = ?, stored_at = 2, expires_at = 3 WHERE `key` = ?"
	plainSelect = "SELECT result FROM " + plainTable + " WHERE `key` = ?"
)

// prepared makes the table and prepares the statements.
func prepared(ctx context.Context, ddl string, writer, reader *sql.DB, fingerprint, value []byte) (plain, error) {
	if _, err := writer.ExecContext(ctx, ddl); err != nil {
		return plain{}, err
	}
	insert, err1 := writer.PrepareContext(ctx, plainInsert)
	update, err2 := writer.PrepareContext(ctx, plainUpdate)
	read, err3 := reader.PrepareContext(ctx, plainSelect)
	if err := errors.Join(err1, err2, err3); err != nil {
		return plain{}, err
	}
	return plain{
		insert: func(id []byte) error {
			_, err := insert.ExecContext(ctx, id, fingerprint)
			return err
		},
		update: func(id []byte) error {
			_, err := update.ExecContext(ctx, value, id)
			return err
		},
		read: func(id []byte) error {
			var value []byte
			return read.QueryRowContext(ctx, id).Scan(&value)
		},
	}, nil
}

func openMySQL(ctx context.Context) (groups []group, end func() error, err error) {
	server, err := services.StartMySQL(ctx)
	if err != nil {
		return nil, nil, err
	}
	db, err := dialMySQL(server.URL)
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	end = func() error { return errors.Join(db.Close(), server.Stop()) }
	if groups, err = mysqlGroups(ctx, db); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return groups, end, nil
}

func dialMySQL(address string) (*sql.DB, error) {
	dsn, err := services.MySQLDSN(address)
	if err != nil {
		return nil, err
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

func mysqlGroups(ctx context.Context, db *sql.DB) ([]group, error) {
	w := newWorkload(ctx, must(mysqlstore.NewIdempotency(db, mysqlstore.Config{})))
	p, err := prepared(ctx, must(mysqlstore.DDL(mysqlstore.Config{Table: plainTable})), db, db, w.fingerprint, w.value)
	if err != nil {
		return nil, err
	}
	return tableGroups("MariaDB", w, p)
}

func openSQLite(ctx context.Context) (groups []group, end func() error, err error) {
	folder, err := os.MkdirTemp("", "steady-bench-")
	if err != nil {
		return nil, nil, err
	}
	store := must(sqlitestore.NewIdempotency(sqlitestore.Config{Path: filepath.Join(folder, "store.db")}))
	file := filepath.Join(folder, "plain.db")
	writer, reader := must(dialSQLite(file, 1)), must(dialSQLite(file, most))
	end = func() error {
		return errors.Join(store.Close(), reader.Close(), writer.Close(), os.RemoveAll(folder))
	}
	w := newWorkload(ctx, store)
	p, err := prepared(ctx, must(sqlitestore.DDL(sqlitestore.Config{Table: plainTable})), writer, reader, w.fingerprint, w.value)
	if err == nil {
		groups, err = tableGroups("SQLite", w, p)
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return groups, end, nil
}

// dialSQLite returns connections to a file that is as durable as the store's.
func dialSQLite(file string, connections int) (*sql.DB, error) {
	uri := url.URL{
		Scheme: "file", OmitHost: true, Path: filepath.ToSlash(file),
		RawQuery: "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)",
	}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
