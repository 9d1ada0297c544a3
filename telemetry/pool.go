package telemetry

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// NewPools makes the metrics of a database's pools, which it reads by name at
// each scrape.
func NewPools(stats func() map[string]sql.DBStats) prometheus.Collector { return pools{stats} }

type pools struct {
	stats func() map[string]sql.DBStats
}

// Describe implements prometheus.Collector.
func (p pools) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range []Metric{DBConnections, DBConnectionsMax, DBWaits, DBWaitSeconds} {
		descs <- m.Desc()
	}
}

// Collect implements prometheus.Collector.
func (p pools) Collect(values chan<- prometheus.Metric) {
	for name, s := range p.stats() {
		values <- DBConnections.Value(float64(s.InUse), name, "in_use")
		values <- DBConnections.Value(float64(s.Idle), name, "idle")
		values <- DBConnectionsMax.Value(float64(s.MaxOpenConnections), name)
		values <- DBWaits.Value(float64(s.WaitCount), name)
		values <- DBWaitSeconds.Value(s.WaitDuration.Seconds(), name)
	}
}
