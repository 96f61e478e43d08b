// Package mysqlstore keeps the state of patterns in a table of MariaDB or MySQL, where the replicas of a service share
// it. It needs MariaDB 10.3 or MySQL 5.7, or later, and a table of InnoDB.
//
// It works with any *sql.DB of the driver github.com/go-sql-driver/mysql, whatever its DSN says about time zones, modes,
// character sets, parsed times, found rows and interpolated parameters; only autocommit must be on. Each statement is its
// own transaction and carries its arguments as numbers and hexadecimal literals, so that it takes one round trip and
// leaves no prepared statement on the server or a proxy.
//
// # What the server has to promise
//
// A claim that the server forgets can be acquired a second time. So let it flush its log with each transaction
// (innodb_flush_log_at_trx_commit=1, the default). Replicas follow late: send the store to the primary, and know that a
// failover to a replica which has not seen a claim forgets it.
package mysqlstore
