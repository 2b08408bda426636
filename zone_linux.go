package eddy

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// zoneCache keeps the names and numbers of the interfaces. It looks again for
// those it does not know, and after zoneLife.
type zoneCache struct {
	mu      sync.Mutex
	fetched time.Time
	indices map[string]int
	names   map[int]string
}

// zoneLife is for how long std believes in its own.
const zoneLife = time.Minute

// zones are the interfaces' names, which addresses have and the kernel has not.
var zones zoneCache

// zoneOf is the name of an interface, or its number if it has none any more.
func zoneOf(index int) string {
	if index == 0 {
		return ""
	}
	return zones.name(index)
}

// name is an interface's, or its number if it has none any more.
func (z *zoneCache) name(index int) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	fresh := z.refresh(false)
	name, ok := z.names[index]
	if !ok && !fresh {
		z.refresh(true)
		name, ok = z.names[index]
	}
	if !ok {
		return strconv.Itoa(index)
	}
	return name
}

// index is an interface's number; the zone may be a number, too.
func (z *zoneCache) index(name string) uint32 {
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	fresh := z.refresh(false)
	index, ok := z.indices[name]
	if !ok && !fresh {
		z.refresh(true)
		index, ok = z.indices[name]
	}
	if !ok {
		digits := len(name) - len(strings.TrimLeft(name, "0123456789"))
		number, _ := strconv.ParseUint(name[:digits], 10, 24) // no number is 0, too large a one the largest, as with std
		return uint32(number)
	}
	return uint32(index)
}

// refresh asks the kernel, if it is time or has to be. It reports whether it did.
func (z *zoneCache) refresh(now bool) bool {
	if !now && time.Since(z.fetched) < zoneLife {
		return false
	}
	z.fetched = time.Now()
	all, err := net.Interfaces()
	if err != nil {
		return false
	}
	z.indices = make(map[string]int, len(all))
	z.names = make(map[int]string, len(all))
	for _, i := range all {
		z.indices[i.Name] = i.Index
		z.names[i.Index] = i.Name
	}
	return true
}
