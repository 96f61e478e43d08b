package memstore

// ShardOf returns the number of the shard that has the record of a key.
func (m *Idempotency) ShardOf(key string) uint64 { return m.shardOf(m.secret.digest(key)) }
