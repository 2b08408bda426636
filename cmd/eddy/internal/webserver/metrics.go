package webserver

import (
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/eddyio/eddy"
)

// metrics is what is counted of requests.
type metrics struct {
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	bytes       prometheus.Counter
	connections prometheus.Gauge
}

// durations are the histogram's limits in seconds, from a small file out of the page cache to a long download.
var durations = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(registry *prometheus.Registry, drv *eddy.Driver, l *listener) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eddy_http_requests_total", Help: "Requests answered, by status code and method.",
		}, []string{"code", "method"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "eddy_http_request_duration_seconds", Help: "From the head of a request to the end of the answer.", Buckets: durations,
		}, []string{"method"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eddy_http_response_bytes_total", Help: "Bytes of answers, without their heads.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "eddy_http_connections", Help: "Connections of clients that are open.",
		}),
	}
	status := drv.Status()
	backend := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eddy_backend_info", Help: "What the driver runs on; always 1.",
		ConstLabels: prometheus.Labels{"backend": status.Backend.String(), "kernel": status.Kernel},
	})
	backend.Set(1)
	fromFiles := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "eddy_sendfile_bytes_total", Help: "Bytes that went from a file to a connection without being copied.",
	}, func() float64 { return float64(l.fromFiles.Load()) })
	registry.MustRegister(m.requests, m.duration, m.bytes, m.connections, backend, fromFiles,
		newDriverCollector(drv), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) countRequest(method string, code int, bytes int64, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
	default:
		method = "other" // anybody can invent one, and each would be a series for ever
	}
	m.requests.WithLabelValues(strconv.Itoa(code), method).Inc()
	m.duration.WithLabelValues(method).Observe(took.Seconds())
	m.bytes.Add(float64(bytes))
}

// countConnections is an http.Server's ConnState.
func (m *metrics) countConnections(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		m.connections.Inc()
	case http.StateClosed, http.StateHijacked:
		m.connections.Dec()
	}
}

// driverCollector shows every field of eddy.Metrics and of the driver.Metrics in it: unsigned ones only grow, the
// others are gauges.
type driverCollector struct {
	drv   *eddy.Driver
	descs map[string]*prometheus.Desc // by the name of the field, "Driver.Turns" for those of the inner one
}

func newDriverCollector(drv *eddy.Driver) *driverCollector {
	c := &driverCollector{drv, map[string]*prometheus.Desc{}}
	eachMetric(drv.Metrics(), func(field string, value float64, kind prometheus.ValueType) {
		name := "eddy_" + snake(field)
		if kind == prometheus.CounterValue {
			name += "_total"
		}
		c.descs[field] = prometheus.NewDesc(name, "Metrics."+field+" of package eddy.", nil, nil)
	})
	return c
}

// Describe implements prometheus.Collector.
func (c *driverCollector) Describe(all chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		all <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *driverCollector) Collect(all chan<- prometheus.Metric) {
	eachMetric(c.drv.Metrics(), func(field string, value float64, kind prometheus.ValueType) {
		all <- prometheus.MustNewConstMetric(c.descs[field], kind, value)
	})
}

func eachMetric(m eddy.Metrics, visit func(field string, value float64, kind prometheus.ValueType)) {
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name, field := prefix+v.Type().Field(i).Name, v.Field(i)
			switch {
			case field.Kind() == reflect.Struct:
				walk(name+".", field)
			case field.CanUint():
				visit(name, float64(field.Uint()), prometheus.CounterValue)
			case field.CanInt():
				visit(name, float64(field.Int()), prometheus.GaugeValue)
			case field.Kind() == reflect.Bool:
				value := 0.0
				if field.Bool() {
					value = 1
				}
				visit(name, value, prometheus.GaugeValue)
			}
		}
	}
	walk("", reflect.ValueOf(m))
}

// snake turns StaleCQEs into stale_cqes, and Driver.InFlight into driver_in_flight.
func snake(name string) string {
	var s strings.Builder
	letters := []rune(name)
	for i, c := range letters {
		if c == '.' {
			s.WriteByte('_')
			continue
		}
		if i > 0 && unicode.IsUpper(c) && unicode.IsLower(letters[i-1]) {
			s.WriteByte('_')
		}
		s.WriteRune(unicode.ToLower(c))
	}
	return s.String()
}
