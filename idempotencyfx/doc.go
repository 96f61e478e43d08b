// Package idempotencyfx wires idempotency into Fx. Include exactly one of Module and Durable:
//
//	fx.New(idempotencyfx.Module, …)                       // in memory
//	fx.New(idempotencyfx.Durable, …)                      // in Redis or PostgreSQL, checked at start
//	fx.New(idempotencyfx.Module, idempotencyfx.Redis, …)  // in Redis, or in memory if the configuration says so
//
// All provide an idempotency.Store, an *idempotency.Guard, a [Middleware] of it, and the *idempotency.Janitor behind it.
// To wrap or replace one of them, decorate it: fx.Decorate(func(s idempotency.Store) idempotency.Store {…}). What depends
// on it gets what the decorator returns.
//
// The configuration comes from [Configure] or a *config.Tree. What a file cannot say, keys for encryption or which errors
// are results, comes from the container by [AsOption]. The middleware also needs an idempotency.Scope from there. With a
// *health.Manager in the container, as resiliencefx.Module provides one, the store is asked by the health check
// "idempotency".
//
// # Backends
//
// The key resilience.idempotency.backend selects one by its name: "memory", "redis" with [Redis], "postgres" with
// [Postgres], and what [WithBackend] adds:
//
//	var file sqlitestore.Config
//	tree, err := config.Load(config.File("app.yaml"), config.Section("sqlite", &file))
//	…
//	fx.New(fx.Supply(tree, file), idempotencyfx.Durable, idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency))
//
// Without that key it is the only one that was added, else memory, or Redis with Durable, which has "redis" and
// "postgres" already. A store of one's own that needs no name is brought by [UseStore]: Fx would refuse a second provider
// of the interface. Durable refuses one in memory.
//
// # Connections
//
// The client of Redis is, in this order: the one chosen by [UseClient]; the one client that the container holds as a
// redis.UniversalClient, *redis.Client or *redis.ClusterClient; one built from the redis section of the configuration.
// The pool of PostgreSQL is the one chosen by [UsePool], which says when it should be of idempotency alone; the
// *pgxpool.Pool of the container; one built from the postgres section. Only what was built here is closed when the
// application stops. A provider in the container that cannot be built, because one of its own dependencies is missing, is
// an error and never a reason to fall back to localhost. The log says what is in use.
//
// At start the server is asked once, also whether it would write, and PostgreSQL makes the table if there is none; the
// check_on_start of the section says what follows if that fails. Services that share a server keep their keys apart by
// resilience.idempotency.key_prefix, in PostgreSQL also by tables of their own. The go-redis package logs connection
// errors to standard error by itself; redis.SetLogger changes that.
package idempotencyfx
