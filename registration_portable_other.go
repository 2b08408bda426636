//go:build !unix

package eddy

import (
	"errors"
	"fmt"

	"github.com/eddyio/eddy/poll"
)

// watched is empty: nothing can be.
type watched struct{}

func (*watched) shutdown() {}

func newPortableSource(*portableSystem, int, poll.Interest) (source, error) {
	return nil, fmt.Errorf("readiness of a bare descriptor: %w", errors.ErrUnsupported)
}
