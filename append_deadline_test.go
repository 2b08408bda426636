package eddy_test

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// One Write of an O_APPEND file is one write(2): records of several writers do
// not get mixed up.
func TestAppendWithDeadlineMixesRecords(t *testing.T) {
	const record, rounds = 1<<20 + 4096, 6
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
			name := tempFile(t, nil)
			var wg sync.WaitGroup
			for _, c := range []byte("ab") {
				f := open(t, d, name, os.O_WRONLY|os.O_APPEND)
				f.SetWriteDeadline(deadline)
				wg.Go(func() {
					for range rounds {
						if _, err := f.Write(bytes.Repeat([]byte{c}, record)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			data, err := os.ReadFile(name)
			if err != nil || len(data) != 2*rounds*record {
				t.Fatalf("deadline %v: %d bytes, %v", !deadline.IsZero(), len(data), err)
			}
			for i := 0; i+record <= len(data); i += record {
				if bytes.Count(data[i:i+record], data[i:i+1]) != record {
					t.Fatalf("deadline %v: record %d has bytes of both writers", !deadline.IsZero(), i/record)
				}
			}
		}
	})
}
