package services_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/steadyfx/steady/testkit/services"
)

// A test of what a program does while its Redis is away.
func ExampleRedis() { //nolint:testableexamples // needs a test
	_ = func(t *testing.T) {
		server := services.Redis(t)
		connect(server.URL)

		server.Kill()
		// Here the program must refuse what needs Redis, and say why.

		server.Start()
		// Here it must work again, with what it wrote before.
	}
}

// A program that brings its own Redis.
func ExampleStartRedis() { //nolint:testableexamples // needs a Redis
	redis, err := services.StartRedis(context.Background())
	if err != nil {
		log.Fatal(err) // with ErrNotInstalled, the message says what to install
	}
	connect(redis.URL)
	if err := redis.Stop(); err != nil {
		log.Fatal(err)
	}
}

func connect(url string) { fmt.Println("the store is at", url) }
