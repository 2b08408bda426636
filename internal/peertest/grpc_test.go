package peertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	health_pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/eddyio/eddy"
)

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	p, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return *p, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	p, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	*p = bytes.Clone(data)
	return nil
}

// echoService has one method, which sends back what it gets until it gets no more.
var echoService = grpc.ServiceDesc{
	ServiceName: "eddy.Echo",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName:    "Stream",
		ServerStreams: true,
		ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			for {
				var p []byte
				if err := s.RecvMsg(&p); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if err := s.SendMsg(&p); err != nil {
					return err
				}
			}
		},
	}},
}

// withGRPC runs a server and a client, both on eddy.
func withGRPC(t *testing.T, d *eddy.Driver) *grpc.ClientConn {
	encoding.RegisterCodec(rawCodec{})
	l := listen(t, d)
	server := grpc.NewServer()
	health_pb.RegisterHealthServer(server, health.NewServer())
	server.RegisterService(&echoService, struct{}{})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	c, err := grpc.NewClient("passthrough:///"+l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := d.Dial(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return conn, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		server.GracefulStop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestGRPCCallFails(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		checks := health_pb.NewHealthClient(withGRPC(t, d))
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() {
				for range 50 {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					r, err := checks.Check(ctx, &health_pb.HealthCheckRequest{})
					cancel()
					if err != nil || r.Status != health_pb.HealthCheckResponse_SERVING {
						t.Errorf("%v, %v", r, err)
						return
					}
				}
			})
		}
		callers.Wait()
	})
}

func TestGRPCStreamLosesMessages(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		c := withGRPC(t, d)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var streams sync.WaitGroup
		for g := range 8 {
			streams.Go(func() {
				s, err := c.NewStream(ctx, &echoService.Streams[0], "/eddy.Echo/Stream", grpc.CallContentSubtype("raw"))
				if err != nil {
					t.Error(err)
					return
				}
				const messages = 100
				message := func(i int) []byte { return bytes.Repeat([]byte{byte(g), byte(i)}, i*200) }
				var sender sync.WaitGroup
				sender.Go(func() {
					for i := range messages {
						p := message(i)
						if err := s.SendMsg(&p); err != nil {
							t.Error(err)
							return
						}
					}
					s.CloseSend()
				})
				for i := range messages {
					var p []byte
					if err := s.RecvMsg(&p); err != nil || !bytes.Equal(p, message(i)) {
						t.Errorf("stream %d, message %d: %d bytes, %v", g, i, len(p), err)
						return
					}
				}
				var p []byte
				if err := s.RecvMsg(&p); !errors.Is(err, io.EOF) {
					t.Errorf("after the last message: %v", err)
				}
				sender.Wait()
			})
		}
		streams.Wait()

		// A stream nobody ends is ended by its context.
		short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
		defer stop()
		s, err := c.NewStream(short, &echoService.Streams[0], "/eddy.Echo/Stream", grpc.CallContentSubtype("raw"))
		if err != nil {
			t.Fatal(err)
		}
		var p []byte
		if err := s.RecvMsg(&p); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a stream whose context ends: %v", err)
		}
	})
}
