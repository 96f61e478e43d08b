package mysqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// meddler is between database/sql and the driver. It counts statements, and fails some instead of sending them.
type meddler struct {
	driver.Connector

	mu         sync.Mutex
	statements []string         // the first word of each
	faults     map[string]error // by first word, once each
	answers    map[uint16]int   // errors of the server, by number
}

func meddle(t *testing.T, cfg *mysql.Config) (*sql.DB, *meddler) {
	t.Helper()
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &meddler{Connector: connector, faults: map[string]error{}, answers: map[uint16]int{}}
	db := sql.OpenDB(m)
	db.SetMaxIdleConns(16)
	t.Cleanup(func() { db.Close() })
	return db, m
}

// failed returns how often the server has answered with an error.
func (m *meddler) failed(number uint16) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answers[number]
}

func (m *meddler) hear(err error) {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.answers[e.Number]++
	}
}

// fail makes the next statement that begins with a word fail.
func (m *meddler) fail(word string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults[word] = err
}

// seen returns the first words of all statements since it was last called.
func (m *meddler) seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	words := strings.Join(m.statements, " ")
	m.statements = nil
	return words
}

func (m *meddler) see(statement string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	word := strings.Fields(statement)[0]
	m.statements = append(m.statements, word)
	err := m.faults[word]
	delete(m.faults, word)
	return err
}

func (m *meddler) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := m.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &meddled{conn.(driverConn), m}, nil
}

// driverConn is what database/sql uses of the driver's connections.
type driverConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type meddled struct {
	driverConn
	m *meddler
}

func (c *meddled) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.m.see(query); err != nil {
		return nil, err
	}
	res, err := c.driverConn.ExecContext(ctx, query, args)
	c.m.hear(err)
	return res, err
}

func (c *meddled) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.m.see(query); err != nil {
		return nil, err
	}
	rows, err := c.driverConn.QueryContext(ctx, query, args)
	c.m.hear(err)
	return rows, err
}
