//go:build !linux

package poll_test

import (
	"errors"
	"testing"

	"github.com/eddyio/eddy/poll"
)

func TestNewIsUnsupported(t *testing.T) {
	if _, err := poll.New(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New: %v, want errors.ErrUnsupported", err)
	}
	if _, err := poll.NewWaker(nil, 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("NewWaker: %v, want errors.ErrUnsupported", err)
	}
}
