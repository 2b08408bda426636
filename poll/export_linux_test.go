package poll

// ForceMillis makes p wait as on kernels without epoll_pwait2(2).
func (p *Poll) ForceMillis() { p.coarse.Store(true) }

// Millis reports whether p waits so.
func (p *Poll) Millis() bool { return p.coarse.Load() }

var MillisUp = millisUp
