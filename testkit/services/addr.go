package services

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports of servers lie below those that systems hand out to outgoing connections. Among these, a client that tries to
// reconnect to a killed server could be given the server's port, and so take it, or even connect to itself.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	var last error
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("services: no free port: %w", last)
}
