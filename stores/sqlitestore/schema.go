package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/steadyfx/steady/internal/sqlrecord"
	"github.com/steadyfx/steady/patterns"
)

// clock is the time in microseconds, of whole milliseconds, as SQLite has them. It is the same wherever it stands in a
// statement.
const clock = `CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) * 1000`

// columns are those of a table, as SQLite tells of them.
const columns = `key BLOB 1, state INTEGER 0, owner BLOB 0, fence INTEGER 0, fingerprint BLOB 0, created_at INTEGER 0, ` +
	`stored_at INTEGER 0, expires_at INTEGER 0, purge_after INTEGER 0, result BLOB 0`

// statements is what a store asks of its table.
type statements struct{ create, read, claim, complete, extend, release, set, remove, cleanup string }

// statementsFor fills in the name of the table. In statements, ?1 is the key and ?2 the owner.
func statementsFor(table string) statements {
	filled := strings.NewReplacer("{table}", `"`+table+`"`, "{index}", `"`+table+`_purge_after"`, "{clock}", clock,
		"{never}", fmt.Sprint(int64(sqlrecord.Never)))
	return statements{
		create: filled.Replace(`CREATE TABLE IF NOT EXISTS {table} (
  key         BLOB NOT NULL PRIMARY KEY,
  state       INTEGER NOT NULL, -- 0 released, 1 pending, 2 complete
  owner       BLOB NOT NULL,
  fence       INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  created_at  INTEGER NOT NULL, -- times are microseconds since 1970
  stored_at   INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  purge_after INTEGER NOT NULL,
  result      BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS {index} ON {table} (purge_after);
`),
		read: filled.Replace(`
SELECT state, owner, fence, fingerprint, created_at, stored_at, expires_at, result, {clock}
FROM {table} WHERE key = ?1`),

		// ?3 fingerprint, ?4 lease, ?5 grace
		claim: filled.Replace(`
INSERT INTO {table} (key, state, owner, fence, fingerprint, created_at, stored_at, expires_at, purge_after, result)
SELECT ?1, 1, ?2, now, ?3, now, 0, now + ?4, now + ?4 + ?5, NULL FROM (SELECT {clock} AS now) WHERE true
ON CONFLICT (key) DO UPDATE SET
  state = 1, owner = excluded.owner, fence = max(fence + 1, excluded.fence), fingerprint = excluded.fingerprint,
  created_at = excluded.created_at, stored_at = 0, expires_at = excluded.expires_at, purge_after = excluded.purge_after,
  result = NULL
WHERE state = 0 OR expires_at <= excluded.created_at
RETURNING fence`),

		// ?3 result, ?4 ttl or NULL
		complete: filled.Replace(`
UPDATE {table} SET state = 2, result = ?3, stored_at = {clock}, expires_at = ifnull({clock} + ?4, {never}),
  purge_after = max(purge_after, ifnull({clock} + ?4, {never}))
WHERE key = ?1 AND owner = ?2 AND state = 1`),

		// ?3 lease
		extend: filled.Replace(`
UPDATE {table} SET expires_at = {clock} + ?3, purge_after = {clock} + ?3 + (purge_after - expires_at)
WHERE key = ?1 AND owner = ?2 AND state = 1`),

		// ?3 for how long the trace is kept
		release: filled.Replace(`
UPDATE {table} SET state = 0, expires_at = 0, purge_after = {clock} + ?3
WHERE key = ?1 AND owner = ?2 AND state = 1`),

		// ?3 result, ?4 ttl or NULL
		set: filled.Replace(`
INSERT INTO {table} (key, state, owner, fence, fingerprint, created_at, stored_at, expires_at, purge_after, result)
SELECT ?1, 2, ?2, now, x'', now, now, ifnull(now + ?4, {never}), ifnull(now + ?4, {never}), ?3
FROM (SELECT {clock} AS now) WHERE true
ON CONFLICT (key) DO UPDATE SET
  state = 2, owner = excluded.owner, fence = max(fence + 1, excluded.fence), fingerprint = x'',
  created_at = excluded.created_at, stored_at = excluded.stored_at, expires_at = excluded.expires_at,
  purge_after = excluded.purge_after, result = excluded.result`),

		remove: filled.Replace(`DELETE FROM {table} WHERE key = ?1`),

		// ?1 limit
		cleanup: filled.Replace(`
DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE purge_after <= {clock} ORDER BY purge_after LIMIT ?1)`),
	}
}

// setUp makes the table if it is not there, and sees to it that it is what it has to be.
func setUp(ctx context.Context, writer *sql.DB, table string) error {
	var mode string
	if err := writer.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file can only be in journal mode %q, not in WAL: put it on a disk of this machine", mode)
	}
	found, err := describe(ctx, writer, table)
	if err == nil && found == "" { // else nothing is written
		if _, err = writer.ExecContext(ctx, "BEGIN IMMEDIATE; "+statementsFor(table).create+" COMMIT;"); err == nil {
			found, err = describe(ctx, writer, table)
		}
	}
	if err != nil {
		return err
	}
	return fits(table, found)
}

// describe returns the columns of a table in the order in which they were declared, or nothing if there is none.
func describe(ctx context.Context, db *sql.DB, table string) (string, error) {
	var found sql.NullString
	err := db.QueryRowContext(ctx,
		`SELECT group_concat(name || ' ' || type || ' ' || pk, ', ' ORDER BY cid) FROM pragma_table_info(?1)`, table).Scan(&found)
	return found.String, err
}

// fits returns an error unless a table has the columns that it needs.
func fits(table, found string) error {
	var checks patterns.Checks
	checks.That(found != "", "table", "there is no table %s: create it by the statements of sqlitestore.DDL", table)
	checks.That(found == "" || found == columns, "table", "%s has the columns %s, which must be %s", table, found, columns)
	return misconfigured(&checks)
}
