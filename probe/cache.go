package probe

import (
	"maps"
	"slices"
	"sync"
)

var cache struct {
	sync.Mutex
	report *Report
}

// Get returns what the first conclusive [Run] of this process found; the Limits
// are as they were then. As long as the answer is inconclusive (Unknown), each
// call probes again. It may be called concurrently, and the caller owns the
// result.
func Get() Report {
	cache.Lock()
	defer cache.Unlock()
	if cache.report != nil {
		return cache.report.clone()
	}
	report := Run()
	if report.URing.State != Unknown && report.Epoll.State != Unknown {
		kept := report.clone()
		cache.report = &kept
	}
	return report
}

func (r *Report) clone() Report {
	c := *r
	c.URing.Evidence = slices.Clone(r.URing.Evidence)
	c.URing.Ops = maps.Clone(r.URing.Ops)
	c.URing.Features = slices.Clone(r.URing.Features)
	c.URing.SetupFlags = maps.Clone(r.URing.SetupFlags)
	c.Epoll.Evidence = slices.Clone(r.Epoll.Evidence)
	c.Limits.URingDisabled = cloneInt(r.Limits.URingDisabled)
	c.Limits.URingGroup = cloneInt(r.Limits.URingGroup)
	return c
}

func cloneInt(p *int) *int {
	if p == nil {
		return nil
	}
	n := *p
	return &n
}
