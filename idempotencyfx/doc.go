// Package idempotencyfx wires idempotency into Fx. Include exactly one of Module and Durable:
//
//	fx.New(idempotencyfx.Module, …)                       // in memory
//	fx.New(idempotencyfx.Durable, …)                      // in Redis, checked at start
//	fx.New(idempotencyfx.Module, idempotencyfx.Redis, …)  // in Redis, or in memory if the configuration says so
//
// All provide an idempotency.Store, an *idempotency.Guard and the *idempotency.Janitor behind it. To wrap the store,
// decorate it: fx.Decorate(func(s idempotency.Store) idempotency.Store {…}). To bring one of your own, use [UseStore]:
// Fx would refuse a second provider of the interface.
//
// # Redis
//
// The client is, in this order: the one chosen by [UseClient]; the one client that the container holds as a
// redis.UniversalClient, *redis.Client or *redis.ClusterClient; one built from the redis section of the configuration.
// Only the last is closed when the application stops. A provider in the container that cannot be built, because one of
// its own dependencies is missing, is an error and never a reason to fall back to localhost. The log says which client
// is in use. At start the server is asked once; config.Redis.CheckOnStart says what follows if it does not answer.
// The go-redis package logs connection errors to standard error by itself; redis.SetLogger changes that.
package idempotencyfx
