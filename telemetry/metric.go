package telemetry

import (
	"errors"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Kind is the type of a metric, in Prometheus's words.
type Kind string

// The kinds of metrics.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric describes a metric as /metrics shows it. A histogram NAME appears
// there as NAME_bucket, NAME_sum and NAME_count.
type Metric struct {
	Name   string
	Help   string
	Kind   Kind
	Labels []string
	// Buckets of a histogram, in seconds.
	Buckets []float64
}

var (
	// short is for what takes milliseconds and should not take seconds.
	short = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	// long is for what may last as long as a caller is held.
	long = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 600}
)

// NewCounter makes the metric.
func (m Metric) NewCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

// NewGauge makes the metric.
func (m Metric) NewGauge() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

// NewHistogram makes the metric.
func (m Metric) NewHistogram() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.Buckets}, m.Labels)
}

// Desc describes the metric to a collector that reads its values elsewhere.
func (m Metric) Desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) }

// Value is one value of a metric that a collector reads elsewhere, with a
// value for each of its labels.
func (m Metric) Value(value float64, labels ...string) prometheus.Metric {
	kind := prometheus.GaugeValue
	if m.Kind == Counter {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(m.Desc(), kind, value, labels...)
}

// NewRegistry makes a registry that has what every process shows: the Go
// runtime, the process, and the build.
func NewRegistry(version string) *prometheus.Registry {
	build := BuildInfo.NewGauge()
	build.WithLabelValues(version, runtime.Version()).Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(build)
	ShowProcess(r)
	return r
}

// ShowProcess adds the Go runtime and the process to a registry, unless it
// shows them already.
func ShowProcess(r prometheus.Registerer) {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		var shown prometheus.AlreadyRegisteredError
		if err := r.Register(c); err != nil && !errors.As(err, &shown) {
			panic(err) // another collector of ours has taken their names
		}
	}
}
