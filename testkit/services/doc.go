// Package services starts the real servers that tests of stores need: a Redis, a PostgreSQL and a MariaDB, each with a
// port of the loopback interface and a temporary folder of its own.
//
// [Redis], [Postgres] and [MySQL] are for tests: they end with the test, and the test can kill, restart, pause and
// resume them to see what its own code does then. [RedisNode] is a Redis to make a cluster of. [StartRedis],
// [StartPostgres] and [StartMySQL] are for TestMain and for programs.
//
// A test uses a server that already runs if the environment names it, in STEADY_TEST_REDIS_URL, STEADY_TEST_POSTGRES_URL
// or STEADY_TEST_MYSQL_URL. Where a server is not installed, the test is skipped with the remedy as its message; with
// STEADY_TEST_REQUIRE_SERVICES=1 it fails.
package services
