package mysqlstore

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/steadyfx/steady/internal/sqlrecord"
)

// clock is the time in microseconds, in whatever time zone the session is. It is that of the start of the statement,
// wherever it stands in it.
const clock = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))`

// statements is what a store asks of its table. A question mark is for fill. No assignment reads what another one of the
// same statement has written: whether it finds the old value or the new one depends on the sql_mode.
type statements struct {
	create, inspect, read, insert, takeOver, complete, extend, release, set, remove, expired, cleanup string
}

// statementsFor fills in the name of the table.
func statementsFor(table string) statements {
	filled := strings.NewReplacer("{table}", "`"+table+"`", "{name}", "'"+table+"'", "{clock}", clock)
	return statements{
		create: filled.Replace("CREATE TABLE IF NOT EXISTS {table} (\n" +
			"  `key`       BINARY(32) NOT NULL PRIMARY KEY,\n" +
			"  state       TINYINT NOT NULL, -- 0 released, 1 pending, 2 complete\n" +
			"  owner       BINARY(16) NOT NULL,\n" +
			"  fence       BIGINT NOT NULL,\n" +
			"  fingerprint VARBINARY(64) NOT NULL,\n" +
			"  created_at  BIGINT NOT NULL, -- times are microseconds since 1970\n" +
			"  stored_at   BIGINT NOT NULL,\n" +
			"  expires_at  BIGINT NOT NULL,\n" +
			"  purge_after BIGINT NOT NULL,\n" +
			"  result      LONGBLOB,\n" +
			"  KEY purge_after (purge_after)\n" +
			") ENGINE=InnoDB"),

		// A column's name, type, index, and whether it has to be given a value, and what else must be right.
		inspect: filled.Replace(`
SELECT c.COLUMN_NAME, CONCAT(c.DATA_TYPE, COALESCE(c.CHARACTER_MAXIMUM_LENGTH, '')), c.COLUMN_KEY,
  c.IS_NULLABLE = 'NO' AND c.COLUMN_DEFAULT IS NULL, t.ENGINE, @@autocommit, @@max_allowed_packet
FROM information_schema.TABLES t
  JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = {name} ORDER BY c.ORDINAL_POSITION`),

		// ? key
		read: filled.Replace("SELECT state, owner, fence, fingerprint, created_at, stored_at, expires_at, result, {clock} " +
			"FROM {table} WHERE `key` = ?"),

		// The fence comes back with the answer, as an id would. ? key, owner, fingerprint, lease, lease and grace
		insert: filled.Replace("INSERT INTO {table} (`key`, state, owner, fence, fingerprint, created_at, stored_at, " +
			"expires_at, purge_after, result) " +
			"VALUES (?, 1, ?, LAST_INSERT_ID({clock}), ?, {clock}, 0, {clock} + ?, {clock} + ?, NULL)"),

		// ? owner, fence, fingerprint, lease and grace, lease, key, fence that was read
		takeOver: filled.Replace("UPDATE {table} SET state = 1, owner = ?, fence = ?, fingerprint = ?, " +
			"created_at = {clock}, stored_at = 0, result = NULL, purge_after = {clock} + ?, expires_at = {clock} + ? " +
			"WHERE `key` = ? AND fence = ? AND (state = 0 OR expires_at <= {clock})"),

		// ? result, expiry, expiry, key, owner
		complete: filled.Replace("UPDATE {table} SET state = 2, result = ?, stored_at = {clock}, " +
			"purge_after = GREATEST(purge_after, ?), expires_at = ? WHERE `key` = ? AND owner = ? AND state = 1"),

		// ? lease, lease, key, owner
		extend: filled.Replace("UPDATE {table} SET purge_after = {clock} + ? + (purge_after - expires_at), " +
			"expires_at = {clock} + ? WHERE `key` = ? AND owner = ? AND state = 1"),

		// ? for how long the trace is kept, key, owner
		release: filled.Replace("UPDATE {table} SET state = 0, purge_after = {clock} + ?, expires_at = 0 " +
			"WHERE `key` = ? AND owner = ? AND state = 1"),

		// ? key, owner, expiry, expiry, result
		set: filled.Replace("INSERT INTO {table} (`key`, state, owner, fence, fingerprint, created_at, stored_at, " +
			"expires_at, purge_after, result) VALUES (?, 2, ?, {clock}, x'', {clock}, {clock}, ?, ?, ?) " +
			"ON DUPLICATE KEY UPDATE state = 2, owner = VALUES(owner), fence = GREATEST(fence + 1, {clock}), " +
			"fingerprint = x'', created_at = {clock}, stored_at = {clock}, result = VALUES(result), " +
			"purge_after = VALUES(purge_after), expires_at = VALUES(expires_at)"),

		// ? key
		remove: filled.Replace("DELETE FROM {table} WHERE `key` = ?"),

		// ? limit
		expired: filled.Replace("SELECT `key` FROM {table} WHERE purge_after <= {clock} ORDER BY purge_after LIMIT ?"),

		// Looks at the time again, for a record may have been taken over since it was found. ? keys
		cleanup: filled.Replace("DELETE FROM {table} WHERE `key` IN (?) AND purge_after <= {clock}"),
	}
}

// fill puts values in the place of question marks.
func fill(statement string, values ...string) string {
	var text strings.Builder
	size := len(statement)
	for _, v := range values {
		size += len(v)
	}
	text.Grow(size)
	for _, v := range values {
		before, after, _ := strings.Cut(statement, "?")
		text.WriteString(before)
		text.WriteString(v)
		statement = after
	}
	text.WriteString(statement)
	return text.String()
}

// blob is a value of bytes, which no mode and no character set changes.
func blob(b []byte) string {
	literal := make([]byte, 0, len("x''")+hex.EncodedLen(len(b)))
	literal = append(literal, "x'"...)
	literal = hex.AppendEncode(literal, b)
	return string(append(literal, '\''))
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// expiry is when what lasts for ttl expires.
func expiry(ttl time.Duration) string {
	if ttl == 0 {
		return number(sqlrecord.Never)
	}
	return clock + " + " + number(sqlrecord.Micros(ttl))
}
