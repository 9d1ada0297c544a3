package provider

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"runa/telemetry"
)

// Suffixes that Prometheus's names have and the SDK's do not.
const (
	counterSuffix = "_total"
	timerSuffix   = "_seconds"
)

// temporalMetrics takes the SDK's metrics. The labels of each are fixed by
// telemetry.TemporalMetrics: the SDK gives one metric different tags at
// different places, which Prometheus refuses, and some tags without a bound.
type temporalMetrics struct {
	vectors *vectors
	tags    map[string]string
}

// vectors are the metrics by the name that Prometheus shows.
type vectors struct {
	labels   map[string][]string
	counters map[string]*prometheus.CounterVec
	gauges   map[string]*prometheus.GaugeVec
	timers   map[string]*prometheus.HistogramVec
}

var _ client.MetricsHandler = (*temporalMetrics)(nil)

func newTemporalMetrics(registry prometheus.Registerer) *temporalMetrics {
	v := &vectors{
		labels: map[string][]string{}, counters: map[string]*prometheus.CounterVec{},
		gauges: map[string]*prometheus.GaugeVec{}, timers: map[string]*prometheus.HistogramVec{},
	}
	for _, m := range telemetry.TemporalMetrics() {
		v.labels[m.Name] = m.Labels
		switch m.Kind {
		case telemetry.Counter:
			v.counters[m.Name] = m.NewCounter()
			registry.MustRegister(v.counters[m.Name])
		case telemetry.Gauge:
			v.gauges[m.Name] = m.NewGauge()
			registry.MustRegister(v.gauges[m.Name])
		case telemetry.Histogram:
			v.timers[m.Name] = m.NewHistogram()
			registry.MustRegister(v.timers[m.Name])
		}
	}
	return &temporalMetrics{vectors: v}
}

// WithTags implements client.MetricsHandler.
func (t *temporalMetrics) WithTags(tags map[string]string) client.MetricsHandler {
	all := maps.Clone(t.tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, tags)
	return &temporalMetrics{t.vectors, all}
}

// values are the tags that a metric has as labels; one that the SDK did not
// give is empty.
func (t *temporalMetrics) values(name string) []string {
	labels := t.vectors.labels[name]
	values := make([]string, len(labels))
	for i, label := range labels {
		values[i] = t.tags[label]
	}
	return values
}

// Counter implements client.MetricsHandler.
func (t *temporalMetrics) Counter(name string) client.MetricsCounter {
	name += counterSuffix
	vector := t.vectors.counters[name]
	if vector == nil {
		return client.MetricsNopHandler.Counter(name)
	}
	return count{vector.WithLabelValues(t.values(name)...)}
}

// Gauge implements client.MetricsHandler.
func (t *temporalMetrics) Gauge(name string) client.MetricsGauge {
	vector := t.vectors.gauges[name]
	if vector == nil {
		return client.MetricsNopHandler.Gauge(name)
	}
	return level{vector.WithLabelValues(t.values(name)...)}
}

// Timer implements client.MetricsHandler.
func (t *temporalMetrics) Timer(name string) client.MetricsTimer {
	name += timerSuffix
	vector := t.vectors.timers[name]
	if vector == nil {
		return client.MetricsNopHandler.Timer(name)
	}
	return spell{vector.WithLabelValues(t.values(name)...)}
}

type count struct{ prometheus.Counter }

// Inc implements client.MetricsCounter.
func (c count) Inc(by int64) { c.Add(float64(by)) }

type level struct{ prometheus.Gauge }

// Update implements client.MetricsGauge.
func (l level) Update(to float64) { l.Set(to) }

type spell struct{ prometheus.Observer }

// Record implements client.MetricsTimer.
func (s spell) Record(d time.Duration) { s.Observe(d.Seconds()) }
