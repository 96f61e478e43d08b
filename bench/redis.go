package main

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/testkit/services"
)

func openRedis(ctx context.Context) (groups []group, end func() error, err error) {
	server, err := services.StartRedis(ctx)
	if err != nil {
		return nil, nil, err
	}
	opts, err := redis.ParseURL(server.URL)
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	opts.PoolSize, opts.MinIdleConns, opts.ContextTimeoutEnabled = most, most, true
	client := redis.NewClient(opts)
	end = func() error { return errors.Join(client.Close(), server.Stop()) }
	if groups, err = redisGroups(ctx, client); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return groups, end, nil
}

func redisGroups(ctx context.Context, client *redis.Client) ([]group, error) {
	// The wait for a disk would hide what scripts cost.
	if err := client.ConfigSet(ctx, "appendonly", "no").Err(); err != nil {
		return nil, err
	}
	w := newWorkload(ctx, must(redisstore.NewIdempotency(client, redisstore.Config{KeyPrefix: "store:"})))
	set := func(value []byte) contender {
		return contender{"`SET`", floor, func(n int) error {
			return times(n, func() error { return client.Set(ctx, "plain:"+w.keys.next(), value, retention).Err() })
		}}
	}
	return []group{
		{
			name:  "Redis: " + claimJob,
			about: "The key is new. The floor sets 64 bytes. Redis writes nothing to disk.",
			modes: someClients(),
			contenders: []contender{
				set(w.value[:64]),
				{"Steady, `Claim`", steady, w.claim},
			},
		},
		{
			name:    "Redis: " + completeJob,
			about:   "The key is claimed. The result, and what the floor sets, are of 512 bytes.",
			modes:   someClients(),
			prepare: w.prepareClaims,
			contenders: []contender{
				set(w.value),
				{"Steady, `Complete`", steady, w.completeClaimed},
			},
		},
	}, nil
}
