//go:build !unix

package eddy

import (
	"errors"
	"fmt"

	"github.com/eddyio/eddy/poll"
)

func newPortableSource(*Driver, int, poll.Interest) (source, error) {
	return nil, fmt.Errorf("readiness of a bare descriptor: %w", errors.ErrUnsupported)
}
