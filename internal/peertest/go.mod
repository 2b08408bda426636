module github.com/eddyio/eddy/internal/peertest

go 1.25.0

require (
	github.com/coder/websocket v1.8.15
	github.com/eddyio/eddy v0.0.0
	github.com/redis/go-redis/v9 v9.20.0
	golang.org/x/net v0.55.0
	google.golang.org/grpc v1.81.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
	golang.org/x/text v0.37.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260226221140-a57be14db171 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/eddyio/eddy => ../..
