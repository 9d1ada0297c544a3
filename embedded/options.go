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
	settings := dynamicConfig(c.Profile)
	if c.HistoryEvents > 0 {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = c.HistoryEvents
	}
	return optionsWith(c, s, a, settings, logger)
}

func optionsWith(c Config, s stores, a addresses, settings dynamicconfig.Client, logger *serverLogger) []temporal.ServerOption {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, service := range services {
		hosts[service] = static.SingleLocalHost(a.of(service))
	}
	return append(commonOptions(serverConfig(c, s, a), temporal.DefaultServices, settings, logger),
		temporal.WithStaticHosts(hosts))
}

// commonOptions are those of every server, alone or in a cluster.
func commonOptions(c *config.Config, services []string, settings dynamicconfig.Client, logger *serverLogger) []temporal.ServerOption {
	return []temporal.ServerOption{
		temporal.WithConfig(c),
		temporal.ForServices(services),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(settings),
		// Whoever can reach the server may call it: alone it listens on loopback, a
		// cluster is kept apart by its network or by certificates. Payloads are
		// encrypted by the clients.
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	}
}

func serverConfig(c Config, s stores, a addresses) *config.Config {
	made := commonConfig()
	made.Persistence = persistence(c, s)
	made.ClusterMetadata = clusterMetadata(a.frontend())
	made.Services = serviceConfigs(a)
	made.PublicClient = config.PublicClient{HostPort: a.frontend()}
	return made
}

// commonConfig leaves metrics, pprof, HTTP and tracing unset: each would open a
// listener or a connection of its own.
func commonConfig() *config.Config {
	return &config.Config{
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
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

func clusterMetadata(frontend string) *cluster.Config {
	return &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{
			clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
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
