package embedded

import (
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	clusterName = "active"
	disabled    = "disabled"
)

// services are the parts of a Temporal server. All run here.
var services = []primitives.ServiceName{
	primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
}

func options(c Config, s stores, a addresses, logger *serverLogger) []temporal.ServerOption {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, service := range services {
		hosts[service] = static.SingleLocalHost(a.of(service))
	}
	settings := dynamicConfig(c.Profile)
	if c.HistoryEvents > 0 {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = c.HistoryEvents
	}
	return []temporal.ServerOption{
		temporal.WithConfig(serverConfig(c, s, a)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(settings),
		// Whoever can reach the loopback interface may call the server; payloads
		// are encrypted by the clients.
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	}
}

// serverConfig leaves metrics, pprof, HTTP and tracing unset: each would open a
// listener or a connection of its own.
func serverConfig(c Config, s stores, a addresses) *config.Config {
	return &config.Config{
		Persistence:         persistence(c, s),
		ClusterMetadata:     clusterMetadata(a),
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            serviceConfigs(a),
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
		PublicClient: config.PublicClient{HostPort: a.frontend()},
	}
}

func persistence(c Config, s stores) config.Persistence {
	const main, visibility = "main", "visibility"
	shards := int32(4)
	if c.Profile == StartDev {
		shards = 1
	}
	return config.Persistence{
		DefaultStore:     main,
		VisibilityStore:  visibility,
		NumHistoryShards: shards,
		DataStores: map[string]config.DataStore{
			main:       {SQL: s.main},
			visibility: {SQL: s.visibility},
		},
	}
}

func clusterMetadata(a addresses) *cluster.Config {
	return &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{
			clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: a.frontend()},
		},
	}
}

func serviceConfigs(a addresses) map[string]config.Service {
	configs := map[string]config.Service{}
	for _, service := range services {
		configs[string(service)] = config.Service{RPC: config.RPC{GRPCPort: a[service], BindOnIP: loopback}}
	}
	return configs
}
