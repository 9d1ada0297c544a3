package embedded

import (
	"context"
	"fmt"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/config"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// createNamespace makes the namespace in the file, unless it is there: a server
// that reads it at start can be used at once, while one that is told of it
// later learns it up to 2 s after.
func createNamespace(store *config.SQL, c Config) error {
	namespace, err := sqliteschema.NewNamespaceConfig(clusterName, c.Namespace, false, nil)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", c.Namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(c.Retention)
	if err := sqliteschema.CreateNamespaces(store, namespace); err != nil {
		return fmt.Errorf("create namespace %s: %w", c.Namespace, err)
	}
	return nil
}

// connect waits for the frontend and gives an older namespace the retention
// that is asked for now.
func (s *Server) connect(ctx context.Context, c Config) error {
	connected, err := client.DialContext(ctx, client.Options{
		HostPort:  s.address,
		Namespace: c.Namespace,
		Logger:    sdklog.NewStructuredLogger(s.log.slog),
	})
	if err != nil {
		return fmt.Errorf("connect to embedded Temporal server: %w", err)
	}
	s.client, s.ping = connected, s.pingFrontend
	return s.retain(ctx, c.Namespace, c.Retention)
}

// retain changes the retention of a namespace unless it is what is wanted.
func (s *Server) retain(ctx context.Context, namespace string, retention time.Duration) error {
	service := s.client.WorkflowService()
	found, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	if found.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == retention {
		return nil
	}
	_, err = service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	if err != nil {
		return fmt.Errorf("set retention of namespace %s: %w", namespace, err)
	}
	return nil
}
