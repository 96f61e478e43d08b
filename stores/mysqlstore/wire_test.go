package mysqlstore_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/steadyfx/steady/testkit/services"
)

// wire is between a client and a server. It can lose the answer to a statement: the server carries it out, and then the
// connection is gone.
type wire struct {
	server   string
	listener net.Listener
	lose     atomic.Int32 // of so many statements from now, the answer to the last one
	conns    sync.WaitGroup
}

func newWire(t *testing.T, server *services.Server) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{server: server.Addr(), listener: listener}
	w.conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			w.conns.Go(func() { w.carry(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.conns.Wait()
	})
	return w
}

// under makes a client connect over the wire.
func (w *wire) under(cfg *mysql.Config) { cfg.Addr = w.listener.Addr().String() }

// loseAnswer makes the answer to the nth statement from now get lost.
func (w *wire) loseAnswer(n int) { w.lose.Store(int32(n)) }

// lost reports whether that has happened.
func (w *wire) lost() bool { return w.lose.Load() == 0 }

func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	var losing atomic.Bool
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || losing.Load() {
				return // with an answer in the buffer, the statement was carried out
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	defer back.Wait()
	for {
		packet, err := readPacket(client)
		if err != nil {
			server.Close()
			return
		}
		const query = 3 // the command of a text statement
		if packet[3] == 0 && len(packet) > 4 && packet[4] == query && w.lose.Load() > 0 && w.lose.Add(-1) == 0 {
			losing.Store(true)
		}
		if _, err := server.Write(packet); err != nil {
			return
		}
	}
}

// readPacket reads a packet with its header: three bytes of length and one that counts the packets of a command.
func readPacket(conn net.Conn) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(conn, header); err != nil {
		return nil, err
	}
	packet := make([]byte, 4+(int(header[0])|int(header[1])<<8|int(header[2])<<16))
	copy(packet, header)
	_, err := io.ReadFull(conn, packet[4:])
	return packet, err
}
