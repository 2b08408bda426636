package eddy_test

import (
	"context"
	"fmt"
	"log"

	"github.com/eddyio/eddy"
)

// A server that answers up to 32 datagrams with two system calls.
func ExamplePacketConn_ReadBatch() {
	ctx := context.Background()
	server, err := eddy.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	go func() {
		batch := make([]eddy.Message, 32)
		room := make([]byte, len(batch)*1500)
		for {
			for i := range batch {
				batch[i].Buf = room[i*1500 : (i+1)*1500]
			}
			n, err := server.ReadBatch(ctx, batch)
			if err != nil {
				return // closed
			}
			for i := range batch[:n] {
				batch[i].Buf = batch[i].Buf[:batch[i].N] // the answer, to Addr
			}
			if _, err := server.WriteBatch(ctx, batch[:n]); err != nil {
				log.Print(err)
			}
		}
	}()

	conn, err := eddy.Dial("udp4", server.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client, err := conn.PacketConn()
	if err != nil {
		log.Fatal(err)
	}
	questions := []eddy.Message{{Buf: []byte("one")}, {Buf: []byte("two")}, {Buf: []byte("three")}}
	if _, err := client.WriteBatch(ctx, questions); err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 1500)
	for range questions {
		n, err := client.Read(p)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(p[:n]))
	}
	// Output:
	// one
	// two
	// three
}
