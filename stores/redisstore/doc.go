// Package redisstore keeps the state of patterns in Redis, where the replicas of a service share it.
//
// Each operation is one Lua script on one key: one round trip that reads, decides and writes atomically, by the clock
// of the server, on a single server, behind Sentinel or in a cluster. It needs Redis 5 or later, or a server that is
// compatible with it, and a user that may run EVALSHA, EVAL, TIME and PING, and GET, GETRANGE, SET and DEL on the keys
// of the prefix; WAIT for [Config].Replicas, and INFO for [Idempotency.EvictionPolicy].
//
// # What Redis has to promise
//
// A claim that Redis forgets can be acquired a second time. So let the server that holds idempotency records not
// evict: maxmemory-policy noeviction, which fails new claims when the memory is full, and none of the volatile or
// allkeys policies, which drop claims. What a crash or a failover may lose is up to appendfsync and to replication,
// which is asynchronous: a claim acknowledged by a master that dies before its replicas know of it is lost, unless
// [Config].Replicas makes it wait for them. Where that is not enough, keep the records in the database of the business
// data.
package redisstore
