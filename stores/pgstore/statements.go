package pgstore

import "strings"

// purge_after is when a cleanup first looks at a record. It is indexed, and it is what the claim can foresee: the lease
// and the retention after the acquisition, or the lease alone where results are kept for ever. An update that changes no
// indexed column and finds room on the page is heap-only: it touches no index. So a complete in time leaves purge_after
// alone, an extension does so always, and the pages are not filled. Whether a record may go, expires_at says alone.
const ddl = `CREATE TABLE IF NOT EXISTS {table} (
  key bytea PRIMARY KEY,            -- SHA-256 of the key
  owner uuid NOT NULL,              -- random for every claim
  fence bigint NOT NULL,
  created_at timestamptz NOT NULL,  -- when it was acquired
  stored_at timestamptz,            -- when the result was stored
  expires_at timestamptz NOT NULL,  -- end of the lease or of the retention
  purge_after timestamptz NOT NULL, -- when a cleanup may look at it
  state smallint NOT NULL,          -- 1 pending, 2 complete
  fingerprint bytea,
  result bytea
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS {index} ON {table} (purge_after);
`

// States of a row, which the statements below spell out.
const (
	pending  = 1
	complete = 2
)

// lapsed is an outcome of the claim statement: the record may be taken over. The others have the numbers of
// [idempotency.Outcome].
const lapsed = 0

// newFence is the server's time in microseconds, which a float8 holds exactly until the year 2255.
const newFence = `(date_part('epoch', clock_timestamp()) * 1000000)::bigint`

// statements are those of one table.
//
// Leases are compared with clock_timestamp(), because now() stands still in a transaction. Where a statement has waited
// for a row that another has changed, PostgreSQL evaluates the conditions and the new values again.
type statements struct {
	claim, takeOver              string
	complete, completed          string
	extend, release, set, remove string
	record, cleanup              string
}

func statementsFor(table string) statements {
	in := func(statement string) string {
		return strings.NewReplacer("{table}", table, "{fence}", newFence).Replace(statement)
	}
	return statements{
		// It reads before it writes, so that a record that is there costs no write, and so that nobody waits for a
		// transaction that is about to complete it. The insert waits for a transaction that has inserted the same key.
		// If that commits there is no row to return: the record came after the snapshot. Then it is asked again.
		claim: in(`
WITH held AS MATERIALIZED (
  SELECT
    CASE
      WHEN expires_at <= clock_timestamp() THEN 0
      WHEN state = 1 AND owner = $2::uuid THEN 1
      WHEN fingerprint <> $3::bytea THEN 4
      WHEN state = 1 THEN 2
      WHEN state = 2 THEN 3
    END AS outcome,
    fence,
    coalesce(date_part('epoch', clock_timestamp() - stored_at), 0) AS age,
    date_part('epoch', expires_at) - date_part('epoch', clock_timestamp()) AS rest, -- which may be for ever
    result
  FROM {table} WHERE key = $1::bytea
), made AS (
  INSERT INTO {table} (key, state, owner, fence, fingerprint, created_at, expires_at, purge_after)
  SELECT $1::bytea, 1, $2::uuid, {fence}, $3::bytea, clock_timestamp(),
    clock_timestamp() + $4::interval, clock_timestamp() + $4::interval + $5::interval
  WHERE NOT EXISTS (SELECT FROM held)
  ON CONFLICT (key) DO NOTHING
  RETURNING fence
)
SELECT 1, fence, 0, 0, NULL FROM made
UNION ALL
SELECT outcome, fence, age, rest, result FROM held`),

		takeOver: in(`
UPDATE {table} SET state = 1, owner = $2::uuid, fence = greatest(fence + 1, {fence}), fingerprint = $3::bytea, result = NULL,
  created_at = clock_timestamp(), stored_at = NULL,
  expires_at = clock_timestamp() + $4::interval, purge_after = clock_timestamp() + $4::interval + $5::interval
WHERE key = $1::bytea AND fence = $6::bigint AND expires_at <= clock_timestamp()
RETURNING fence`),

		complete: in(`
UPDATE {table} SET state = 2, result = $3::bytea, stored_at = clock_timestamp(),
  expires_at = coalesce(clock_timestamp() + $4::interval, 'infinity'),
  purge_after = greatest(purge_after, coalesce(clock_timestamp() + $4::interval, 'infinity'))
WHERE key = $1::bytea AND owner = $2::uuid AND state = 1`),

		completed: in(`
SELECT EXISTS (SELECT FROM {table}
  WHERE key = $1::bytea AND owner = $2::uuid AND state = 2 AND expires_at > clock_timestamp())`),

		extend: in(`
UPDATE {table} SET expires_at = clock_timestamp() + $3::interval
WHERE key = $1::bytea AND owner = $2::uuid AND state = 1`),

		release: in(`DELETE FROM {table} WHERE key = $1::bytea AND owner = $2::uuid AND state = 1`),

		set: in(`
INSERT INTO {table} AS old (key, state, owner, fence, result, created_at, stored_at, expires_at, purge_after)
VALUES ($1::bytea, 2, $2::uuid, {fence}, $3::bytea, clock_timestamp(), clock_timestamp(),
  coalesce(clock_timestamp() + $4::interval, 'infinity'), coalesce(clock_timestamp() + $4::interval, 'infinity'))
ON CONFLICT (key) DO UPDATE SET state = 2, owner = excluded.owner, fence = greatest(old.fence + 1, excluded.fence),
  fingerprint = NULL, result = excluded.result, created_at = excluded.created_at, stored_at = excluded.stored_at,
  expires_at = excluded.expires_at, purge_after = excluded.purge_after`),

		remove: in(`DELETE FROM {table} WHERE key = $1::bytea`),

		record: in(`
SELECT state, fence, fingerprint, created_at, expires_at, result FROM {table}
WHERE key = $1::bytea AND expires_at > clock_timestamp()`),

		// Expiry is tested inside, where rows that others hold are skipped, and once more outside: a row that was taken
		// over in between is not the one that was found.
		cleanup: in(`
DELETE FROM {table}
WHERE key = ANY (ARRAY(
    SELECT key FROM {table} WHERE purge_after <= statement_timestamp() AND expires_at <= statement_timestamp()
    ORDER BY purge_after LIMIT $1::bigint FOR UPDATE SKIP LOCKED))
  AND expires_at <= statement_timestamp()`),
	}
}
