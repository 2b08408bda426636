package eddy

import "time"

// relieve turns the loop in its stead, and reports whether a reader that has had
// data for so long is to sleep.
//
// It is what readers do for others on a saturated machine. As long as looks find
// something, see gate, a reader keeps its processor, for up to the 10 ms after
// which the scheduler preempts it. None of the others would learn meanwhile that
// they have data, and those who know would not run. So, before it looks for itself,
// a reader turns the loop. Then
//
//	it       if
//	-------  -----------------------------------------------------------------
//	sleeps   others turned out to have data: they run when it does
//	sleeps   it has had data for reliefLuck, and somebody is waking
//	looks    neither
//
// Somebody is waking who was woken by a turn and does not run yet. While somebody
// is, nobody turns the loop: a processor is what they lack, and others would only
// jump the queue. So it is while that is short, see runQueue. In a long one they
// wait for goroutines that compute, and not for readers: few readers are awake
// then, and the more of them the better.
func (l *loop) relieve(luck time.Duration) bool {
	n := l.round()
	l.watch.relief.Add(uint64(n))
	return n > 0 || luck > reliefLuck && l.isWaking()
}

const reliefLuck = 250 * time.Microsecond
