package faults_test

import (
	"bufio"
	"fmt"
	"io"
	"net"

	"github.com/steadyfx/steady/testkit/faults"
)

// A client cannot know whether a request whose answer is lost was carried out.
func Example() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	charged := make(chan string, 1)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request, _ := bufio.NewReader(conn).ReadString('\n')
		charged <- request
		fmt.Fprintln(conn, "charged")
	}()

	proxy, err := faults.Start(server.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer proxy.Close()
	proxy.Once(faults.CutAnswer, 0)

	conn, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprintln(conn, "charge 10 euros")
	answer, _ := io.ReadAll(conn)
	fmt.Printf("the client heard %q\n", answer)
	fmt.Printf("the server heard %q\n", <-charged)
	// Output:
	// the client heard ""
	// the server heard "charge 10 euros\n"
}
