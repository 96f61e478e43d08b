package mysqlstore_test

import (
	"database/sql"
	"net/url"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/storetest"
)

func TestConformance(t *testing.T) {
	db := connect(t, sharedServer(t), nil)
	storetest.Idempotency(t, emptied(db), storetest.RaceKeys(raceKeys), storetest.SkewedClient(func(t *testing.T) idempotency.Store {
		return open(t, connect(t, sharedServer(t), nil))
	}))
}

// What a DSN can say that changes how the server and the driver take statements and give answers.
func TestConformanceWhateverTheDSNSays(t *testing.T) {
	for name, params := range map[string]url.Values{
		"lenient and far east": {
			"time_zone": {"'+13:00'"}, "sql_mode": {"''"}, "clientFoundRows": {"true"}, "parseTime": {"true"},
			"loc": {"Local"}, "interpolateParams": {"true"}, "collation": {"latin1_swedish_ci"},
		},
		"strict and far west": {
			"time_zone": {"'-11:00'"}, "clientFoundRows": {"false"}, "multiStatements": {"true"}, "tx_isolation": {"'SERIALIZABLE'"},
			"sql_mode": {"'ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,SIMULTANEOUS_ASSIGNMENT'"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := connect(t, sharedServer(t), params)
			storetest.Idempotency(t, emptied(db), storetest.RaceKeys(5))
		})
	}
}

// emptied opens stores one after another on a table that each of them finds empty: to make one takes a server long.
func emptied(db *sql.DB) func(t *testing.T) idempotency.Store {
	table := newTable()
	return func(t *testing.T) idempotency.Store {
		s := openTable(t, db, table)
		if err := s.EnsureSchema(t.Context()); err != nil {
			t.Fatal(err)
		}
		alter(t, db, "DELETE FROM "+table)
		return s
	}
}
