package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/service/worker"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// retryPause is between two questions to something that starts.
	retryPause = 50 * time.Millisecond
	// askTimeout bounds one of them.
	askTimeout = 5 * time.Second
)

// healthNames are those by which the services tell their health.
var healthNames = map[primitives.ServiceName]string{
	primitives.HistoryService:  "temporal.api.workflowservice.v1.HistoryService",
	primitives.MatchingService: "temporal.api.workflowservice.v1.MatchingService",
	primitives.WorkerService:   worker.ServiceName,
}

// join waits until the services are healthy and the namespace can be used.
func (s *Server) join(ctx context.Context, c ClusterConfig, at listening) error {
	secure, err := c.TLS.client()
	if err != nil {
		return err
	}
	if !c.runs(primitives.FrontendService) {
		s.ping = func(ctx context.Context) error { return pingServices(ctx, c, at, secure) }
		return s.await(ctx, s.Ping)
	}
	s.client, err = client.NewLazyClient(client.Options{
		HostPort:          at.own(primitives.FrontendService),
		Namespace:         c.Namespace,
		Logger:            sdklog.NewStructuredLogger(s.log.slog),
		ConnectionOptions: client.ConnectionOptions{TLS: secure},
	})
	if err != nil {
		return err
	}
	s.ping = s.pingFrontend
	return s.await(ctx, func(ctx context.Context) error { return s.prepareNamespace(ctx, c) })
}

// pingServices asks each service of a process without a frontend.
func pingServices(ctx context.Context, c ClusterConfig, at listening, secure *tls.Config) error {
	for _, name := range c.Services {
		service := primitives.ServiceName(name)
		if err := pingService(ctx, at.own(service), healthNames[service], secure); err != nil {
			return fmt.Errorf("%s: %w", service, err)
		}
	}
	return nil
}

func pingService(ctx context.Context, address, name string, secure *tls.Config) error {
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = credentials.NewTLS(secure)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
	if err != nil {
		return err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("it is %s", answer.GetStatus())
	}
	return nil
}

// prepareNamespace makes the namespace, or gives an older one the retention
// that is asked for now. Several frontends may do so at once.
func (s *Server) prepareNamespace(ctx context.Context, c ClusterConfig) error {
	if err := s.pingFrontend(ctx); err != nil {
		return err
	}
	_, err := s.client.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        c.Namespace,
		WorkflowExecutionRetentionPeriod: durationpb.New(c.Retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("create namespace %s: %w", c.Namespace, err)
	}
	if err := s.retain(ctx, c.Namespace, c.Retention); err != nil {
		return err
	}
	return s.reach(ctx, c)
}

// reach asks the frontend for something that it must ask the other services of
// this process for: they are healthy some time before it knows them.
func (s *Server) reach(ctx context.Context, c ClusterConfig) error {
	if c.runs(primitives.HistoryService) {
		_, err := s.client.DescribeWorkflowExecution(ctx, "none", "")
		var absent *serviceerror.NotFound
		if err != nil && !errors.As(err, &absent) {
			return fmt.Errorf("history: %w", err)
		}
	}
	if c.runs(primitives.MatchingService) {
		_, err := s.client.WorkflowService().ListTaskQueuePartitions(ctx, &workflowservice.ListTaskQueuePartitionsRequest{
			Namespace: c.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: "none"},
		})
		if err != nil {
			return fmt.Errorf("matching: %w", err)
		}
	}
	return nil
}

// await asks until there is no error, ctx ends or the server fails. What will
// not get better by waiting is returned at once.
func (s *Server) await(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := bounded(ctx, ask)
		var invalid *serviceerror.InvalidArgument
		if err == nil || errors.As(err, &invalid) {
			return err
		}
		select {
		case failed := <-s.log.failed:
			return failed
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(retryPause):
		}
	}
}

func bounded(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return ask(ctx)
}
