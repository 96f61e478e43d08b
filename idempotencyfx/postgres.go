package idempotencyfx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/internal/wiring"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/pgstore"
)

const postgresBackend = "postgres"

// UsePool keeps records in PostgreSQL through the pool of type P that the container holds, under a name if one is given
// (fx.ResultTags), where it holds several. The pool is not closed.
//
// A claim lives by its heartbeat, which needs a connection three times in a lease. In a pool whose connections are all held
// by the functions that are guarded, or by what else the application does, the heartbeat waits, the lease runs out, and
// another replica may act for the same key. So give idempotency a pool of its own, or a lease much longer than anybody
// waits for a connection. That holds for the *pgxpool.Pool of the container just the same; the pool that is built from
// the postgres section is of its own.
func UsePool[P pgstore.Pool](name ...string) fx.Option {
	return fx.Provide(fx.Annotate(func(pool P) pgstore.Pool { return pool },
		fx.ParamTags(named(name)), fx.ResultTags(`group:"idempotency.postgres_pools"`)))
}

// PostgresParams are the parameters of [NewPostgresBackend]. All but the lifecycle may be left out.
type PostgresParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Logger    *zap.Logger      `optional:"true"`
	Config    *config.Postgres `optional:"true"` // beats Tree
	Tree      *config.Tree     `optional:"true"`
	Chosen    []pgstore.Pool   `group:"idempotency.postgres_pools"` // of UsePool
	Pool      *pgxpool.Pool    `optional:"true"`
	Graph     fx.DotGraph      `optional:"true"`
}

// PostgresResult is the result of [NewPostgresBackend].
type PostgresResult struct {
	fx.Out

	Backend Backend `group:"idempotency.backends"`
}

// NewPostgresBackend makes the backend "postgres". When it is opened it adds to the lifecycle a check that the server
// answers at start and has the table, or lets it be made, and, for a pool of its own, the closing of it.
func NewPostgresBackend(p PostgresParams) PostgresResult {
	return PostgresResult{Backend: Backend{Name: postgresBackend, Durable: true, Open: p.open}}
}

func (p PostgresParams) open(idempotency.Config) (idempotency.Store, error) {
	section, source, err := p.section()
	if err != nil {
		return nil, fmt.Errorf("idempotencyfx: %w", err)
	}
	if err := section.Validate(); err != nil {
		return nil, fmt.Errorf("idempotencyfx: postgres, from %s: %w", source, err)
	}
	selected, err := p.selectPool(section, source)
	if err != nil {
		return nil, fmt.Errorf("idempotencyfx: %w", err)
	}
	store, err := pgstore.NewIdempotency(selected.pool, pgstore.Config{Schema: section.Schema, Table: section.Table})
	if err != nil {
		return nil, fmt.Errorf("idempotencyfx: %w", err)
	}
	log := wiring.LoggerOrNop(p.Logger)
	log.Info("postgres pool selected", zap.String("source", selected.source), zap.Bool("owned", selected.own != nil))
	if selected.own != nil {
		// In a hook of its own, before the check: Fx stops only what has started, and a failed check has not.
		p.Lifecycle.Append(closing(postgresBackend, selected.own.close))
	}
	startCheck{
		backend: postgresBackend, mode: section.CheckOnStart, limit: section.CheckTimeout, log: log,
		ask:     store.EnsureSchema,
		explain: func(err error) error { return selected.explain(err, section) },
	}.appendTo(p.Lifecycle)
	return store, nil
}

// section returns the connection settings and where the DSN comes from.
func (p PostgresParams) section() (config.Postgres, string, error) {
	switch {
	case p.Config != nil && p.Config.DSN != "":
		return p.Config.WithDefaults(), "code", nil
	case p.Config != nil:
		return p.Config.WithDefaults(), byDefault, nil
	case p.Tree != nil:
		return p.Tree.Postgres, p.Tree.Source("postgres.dsn"), nil
	default:
		return config.DefaultPostgres(), byDefault, wiring.CheckAbsent(p.Graph, "*config.Postgres")
	}
}

// selectedPool is a pool and its origin.
type selectedPool struct {
	pool   pgstore.Pool
	source string
	own    *ownPool // nil: the application's
}

func (p PostgresParams) selectPool(section config.Postgres, source string) (selectedPool, error) {
	switch {
	case len(p.Chosen) > 1:
		return selectedPool{}, errors.New("UsePool is given more than once")
	case len(p.Chosen) == 1:
		return selectedPool{pool: p.Chosen[0], source: "UsePool"}, nil
	case p.Pool != nil:
		return selectedPool{pool: p.Pool, source: "*pgxpool.Pool of the application"}, nil
	}
	cfg, err := pgxpool.ParseConfig(section.DSN)
	if err != nil {
		return selectedPool{}, unreadable(source) // the error of pgx may quote a password
	}
	where := address(cfg)
	if err := checkFallback(p.Graph, source, "*pgxpool.Pool"); err != nil {
		return selectedPool{}, fmt.Errorf("%w; refusing to connect to %s instead: mend it, or choose a pool with "+
			"idempotencyfx.UsePool[T]()", err, where)
	}
	own := newOwnPool(cfg)
	return selectedPool{pool: own, own: own, source: fmt.Sprintf("%s, from the configuration: %s", where, source)}, nil
}

func unreadable(source string) error {
	return fmt.Errorf("postgres, from %s: %w", source, &patterns.FieldError{Field: "dsn", Problem: "cannot be read: must be a " +
		"URL such as postgres://user:password@host:5432/database, where @ in a password is %40 and / is %2F, or pairs such as " +
		"host=... user=... password=..., with single quotes around values that need them"})
}

// address returns hosts and database, which are all that may be shown of a DSN.
func address(cfg *pgxpool.Config) string {
	var hosts []string
	add := func(host string, port uint16) {
		if !strings.HasPrefix(host, "/") { // the folder of a socket
			host = net.JoinHostPort(host, strconv.Itoa(int(port)))
		}
		if !slices.Contains(hosts, host) { // once more with or without TLS
			hosts = append(hosts, host)
		}
	}
	add(cfg.ConnConfig.Host, cfg.ConnConfig.Port)
	for _, other := range cfg.ConnConfig.Fallbacks {
		add(other.Host, other.Port)
	}
	return strings.Join(hosts, ",") + "/" + cfg.ConnConfig.Database
}

// explain says what to do about a server that did not answer, or not with what was asked for.
func (s selectedPool) explain(err error, section config.Postgres) error {
	problem, remedy := "does not answer", "check the pool that the application provides"
	switch {
	case errors.Is(err, patterns.ErrConfiguration):
		problem, remedy = "has no usable table", "or name another one by postgres.schema and postgres.table"
	case refused(err):
		problem = "refuses the client"
		if s.own != nil {
			remedy = "check user, password and database of postgres.dsn (STEADY_POSTGRES__DSN)"
		}
	case errors.Is(err, context.DeadlineExceeded):
		problem = fmt.Sprintf("does not answer within %v (postgres.check_timeout)", section.CheckTimeout)
		if s.own != nil {
			remedy = "check the host of postgres.dsn, and that the server is not overloaded"
		}
	case s.own != nil:
		remedy = "start PostgreSQL there, or set postgres.dsn (STEADY_POSTGRES__DSN), or provide a *pgxpool.Pool"
	}
	return fmt.Errorf("idempotencyfx: postgres %s (%s): %w; %s", problem, s.source, err, remedy)
}

// refused reports that the server did not let the client in: for its user or password, or because there is no such
// database.
func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && (strings.HasPrefix(answer.Code, "28") || answer.Code == "3D000")
}

// ownPool is a pool that is made when it is first used: it runs goroutines from then on, which an application that is not
// started would never end.
type ownPool struct {
	open func() (*pgxpool.Pool, error)
}

func newOwnPool(cfg *pgxpool.Config) *ownPool {
	return &ownPool{open: sync.OnceValues(func() (*pgxpool.Pool, error) {
		return pgxpool.NewWithConfig(context.Background(), cfg)
	})}
}

// Exec is that of the pool.
func (p *ownPool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	pool, err := p.open()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return pool.Exec(ctx, sql, args...)
}

// QueryRow is that of the pool.
func (p *ownPool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	pool, err := p.open()
	if err != nil {
		return failedRow{err}
	}
	return pool.QueryRow(ctx, sql, args...)
}

// BeginTx is that of the pool.
func (p *ownPool) BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error) {
	pool, err := p.open()
	if err != nil {
		return nil, err
	}
	return pool.BeginTx(ctx, options)
}

// close waits for the calls that are under way. One that was never used is made, so that it stays closed.
func (p *ownPool) close() error {
	pool, err := p.open()
	if err == nil {
		pool.Close()
	}
	return err
}

// failedRow is the answer of a pool that could not be made.
type failedRow struct{ err error }

// Scan returns why.
func (r failedRow) Scan(...any) error { return r.err }
