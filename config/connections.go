package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// What CheckOnStart can say about a backend that does not answer when the service starts.
const (
	CheckRequire = "require" // the start fails
	CheckWarn    = "warn"    // the start goes on, and the log says so
	CheckOff     = "off"     // nobody asks
)

// Redis says how to reach Redis: one server; with several addresses a cluster; with a master name the sentinels of a
// failover group. It prints without its password.
type Redis struct {
	Addrs        []string      `koanf:"addrs"` // host:port
	Username     string        `koanf:"username"`
	Password     string        `koanf:"password" secret:"true"`
	DB           int           `koanf:"db"`
	MasterName   string        `koanf:"master_name"`
	TLS          bool          `koanf:"tls"`
	CheckOnStart string        `koanf:"check_on_start"` // [CheckRequire], [CheckWarn] or [CheckOff]
	CheckTimeout time.Duration `koanf:"check_timeout"`  // how long the check at start may take
}

// DefaultRedis returns localhost:6379, required at start within 2 s.
func DefaultRedis() Redis {
	return Redis{Addrs: []string{"localhost:6379"}, CheckOnStart: CheckRequire, CheckTimeout: 2 * time.Second}
}

// WithDefaults returns r with the values of [DefaultRedis] where it has none.
func (r Redis) WithDefaults() Redis {
	d := DefaultRedis()
	if len(r.Addrs) == 0 {
		r.Addrs = d.Addrs
	}
	r.CheckOnStart = cmp.Or(r.CheckOnStart, d.CheckOnStart)
	r.CheckTimeout = cmp.Or(r.CheckTimeout, d.CheckTimeout)
	return r
}

// Validate reports everything that is wrong with r. Nothing that r holds is in the error.
func (r Redis) Validate() error {
	var checks patterns.Checks
	checks.That(len(r.Addrs) > 0, "addrs", "must hold at least one host:port")
	for i, addr := range r.Addrs {
		_, port, err := net.SplitHostPort(addr)
		checks.That(err == nil && port != "" && !strings.Contains(addr, "/"), fmt.Sprintf("addrs[%d]", i),
			"must be host:port, not a URL; user, password and database have keys of their own")
	}
	checks.That(r.DB >= 0, "db", "must not be negative, got %d", r.DB)
	checks.That(r.DB == 0 || len(r.Addrs) < 2 || r.MasterName != "", "db",
		"must be 0 with several addrs: a cluster has one database (for sentinels set master_name), got %d", r.DB)
	checkStart(&checks, r.CheckOnStart, r.CheckTimeout)
	return checks.Err("")
}

// String returns the addresses and what else there is, with "[redacted]" for the password.
func (r Redis) String() string {
	return fmt.Sprintf("{Addrs:%v Username:%s Password:%s DB:%d MasterName:%s TLS:%t CheckOnStart:%s CheckTimeout:%v}",
		r.Addrs, r.Username, redacted(r.Password), r.DB, r.MasterName, r.TLS, r.CheckOnStart, r.CheckTimeout)
}

// GoString returns the same as String, with the name of the type.
func (r Redis) GoString() string { return "config.Redis" + r.String() }

// MarshalJSON writes the fields with "[redacted]" for the password.
func (r Redis) MarshalJSON() ([]byte, error) {
	type plain Redis // has no methods, so this does not call itself
	r.Password = redacted(r.Password)
	return json.Marshal(plain(r))
}

// LogValue returns what String returns.
func (r Redis) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Postgres says how to reach PostgreSQL, and which table holds idempotency records. It prints without what could be a
// secret in its DSN.
type Postgres struct {
	DSN          string        `koanf:"dsn" secret:"true"` // a URL or "key=value" pairs, as libpq reads them
	Schema       string        `koanf:"schema"`            // of the table; empty: what the search_path says
	Table        string        `koanf:"table"`             // empty: "idempotency_keys"; services that share a schema need one each
	CheckOnStart string        `koanf:"check_on_start"`    // [CheckRequire], [CheckWarn] or [CheckOff]
	CheckTimeout time.Duration `koanf:"check_timeout"`     // how long the check at start may take
}

// DefaultPostgres returns the database "app" on this host, required at start within 2 s.
func DefaultPostgres() Postgres {
	return Postgres{DSN: "postgres://localhost/app", CheckOnStart: CheckRequire, CheckTimeout: 2 * time.Second}
}

// WithDefaults returns p with the values of [DefaultPostgres] where it has none.
func (p Postgres) WithDefaults() Postgres {
	d := DefaultPostgres()
	p.DSN = cmp.Or(p.DSN, d.DSN)
	p.CheckOnStart = cmp.Or(p.CheckOnStart, d.CheckOnStart)
	p.CheckTimeout = cmp.Or(p.CheckTimeout, d.CheckTimeout)
	return p
}

// Validate reports everything that is wrong with p, but for the names of schema and table, which the store judges.
// Nothing that p holds is in the error.
func (p Postgres) Validate() error {
	var checks patterns.Checks
	checks.That(p.DSN != "", "dsn", "must not be empty")
	checks.That(!strayAt(p.DSN), "dsn", "has an @ behind the one that ends user and password: what means something in a URL "+
		"is written with percent signs, @ as %%40 and / as %%2F")
	checkStart(&checks, p.CheckOnStart, p.CheckTimeout)
	return checks.Err("")
}

// String returns what there is, with host and database for a DSN that is a URL, and "[redacted]" for any other.
func (p Postgres) String() string {
	return fmt.Sprintf("{DSN:%s Schema:%s Table:%s CheckOnStart:%s CheckTimeout:%v}",
		redactedDSN(p.DSN), p.Schema, p.Table, p.CheckOnStart, p.CheckTimeout)
}

// GoString returns the same as String, with the name of the type.
func (p Postgres) GoString() string { return "config.Postgres" + p.String() }

// MarshalJSON writes the fields with what String shows of the DSN.
func (p Postgres) MarshalJSON() ([]byte, error) {
	type plain Postgres // has no methods, so this does not call itself
	p.DSN = redactedDSN(p.DSN)
	return json.Marshal(plain(p))
}

// LogValue returns what String returns.
func (p Postgres) LogValue() slog.Value { return slog.StringValue(p.String()) }

func checkStart(checks *patterns.Checks, mode string, limit time.Duration) {
	checks.That(mode == CheckRequire || mode == CheckWarn || mode == CheckOff,
		"check_on_start", "must be %s, %s or %s, got %q", CheckRequire, CheckWarn, CheckOff, mode)
	checks.That(limit > 0, "check_timeout", "must be positive, got %v", limit)
}

// strayAt reports whether a URL has an @ where none belongs: the rest of a password that was cut off at its first @ or /
// would be taken for the host or the database, which messages show.
func strayAt(dsn string) bool {
	scheme, rest, found := strings.Cut(dsn, "://")
	if !found || scheme != "postgres" && scheme != "postgresql" {
		return false // in pairs it means nothing
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	return strings.Contains(rest, "@")
}

func redacted(secret string) string {
	if secret == "" {
		return ""
	}
	return "[redacted]"
}

// redactedDSN shows scheme, host and path of a URL. A password that holds a "/", "?" or "#" it should have escaped
// moves the rest of itself to where host or path are; more than one "@", or one that does not end a user, tells.
func redactedDSN(dsn string) string {
	u, err := url.Parse(dsn)
	ats := strings.Count(dsn, "@")
	if err != nil || u.Host == "" || ats > 1 || ats == 1 && u.User == nil {
		return redacted(dsn)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
