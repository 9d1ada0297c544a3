package embedded

import (
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/temporal"
)

func clusterOptions(c ClusterConfig, db database, l listening, logger *serverLogger) []temporal.ServerOption {
	settings := clusterTuned()
	settings[dynamicconfig.EnableRingpopTLS.Key()] = c.TLS != TLS{}
	return commonOptions(clusterServerConfig(c, db, l), c.Services, settings, logger)
}

func clusterServerConfig(c ClusterConfig, db database, l listening) *config.Config {
	made := commonConfig()
	made.Persistence = clusterPersistence(c, db)
	// Only other clusters would read the address, and there are none; it is the
	// same in all processes, which would else write over each other's.
	made.ClusterMetadata = clusterMetadata("127.0.0.1:7233")
	made.Services = map[string]config.Service{}
	for service, ports := range l.ports {
		made.Services[string(service)] = config.Service{RPC: config.RPC{
			GRPCPort: ports.calls, MembershipPort: ports.membership, BindOnIP: l.ip.String(),
		}}
	}
	made.Global.Membership.BroadcastAddress = l.broadcast.String()
	made.Global.TLS = c.TLS.root()
	return made
}

func clusterPersistence(c ClusterConfig, db database) config.Persistence {
	const main, visibility = "main", "visibility"
	return config.Persistence{
		DefaultStore:     main,
		VisibilityStore:  visibility,
		NumHistoryShards: int32(c.NumHistoryShards),
		DataStores: map[string]config.DataStore{
			main: {SQL: db.store(db.main(), c.MaxConns)},
			// Few read the list of workflows, and nobody waits for its being written.
			visibility: {SQL: db.store(db.visibility(), max(2, c.MaxConns/4))},
		},
	}
}
