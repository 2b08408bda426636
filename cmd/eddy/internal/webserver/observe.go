package webserver

import (
	"io"
	"log/slog"
	"net/http"
	"time"
)

// chunkSize is how much of a file is sent under one deadline, in bytes: a client slower than chunkSize per
// stallTimeout is taken to be gone.
const chunkSize = 256 << 10

// observe writes a line to the log for every request, and counts it.
func observe(next http.Handler, log *slog.Logger, m *metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, control: http.NewResponseController(w)}
		// Deferred, so that a handler that gives up with a panic is seen too.
		defer func() {
			took := time.Since(began)
			if r.Method == http.MethodHead {
				rec.bytes = 0 // what the handler wrote, net/http has dropped
			}
			m.countRequest(r.Method, rec.code(), rec.bytes, took)
			log.LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", rec.code()),
				slog.Int64("bytes", rec.bytes), slog.Duration("duration", took),
				slog.String("remote", r.RemoteAddr), slog.String("proto", r.Proto))
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder sees what is answered.
type recorder struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
	bytes   int64 // of the body
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) { // others are followed by the final one
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom, which is how net/http hands a file to the connection. It goes in chunks, so that a
// large file may take as long as it does and a client that stalls may not.
func (r *recorder) ReadFrom(src io.Reader) (total int64, err error) {
	whole, ok := src.(*io.LimitedReader)
	if !ok {
		whole = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for whole.N > 0 {
		_ = r.control.SetWriteDeadline(time.Now().Add(stallTimeout)) // one that cannot be set is the server's WriteTimeout
		// Around the file itself: a connection looks into one LimitedReader, not into two.
		chunk := &io.LimitedReader{R: whole.R, N: min(whole.N, chunkSize)}
		want := chunk.N
		n, err := io.Copy(r.ResponseWriter, chunk)
		total += n
		r.bytes += n
		whole.N -= n
		if err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}
