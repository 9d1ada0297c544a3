package embedded

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// alive is what Temporal takes for a process that lives: each writes its row
// every 10 to 15 s.
const alive = "last_heartbeat > (now() AT TIME ZONE 'UTC') - interval '20 seconds'"

// dialTimeout is how long a process is given to answer that it is there.
const dialTimeout = time.Second

// member is where a process listens for the others.
type member struct {
	address string
	port    int
}

// forgetDead removes the rows of processes that do not answer. A process that
// starts tries to join those that it finds, and if all are dead, as after the
// kill of a whole cluster, it gives up for 20 s. A process that lives and did
// not answer in time writes its row again.
func (d database) forgetDead(ctx context.Context) error {
	connection, err := pgx.ConnectConfig(ctx, d.at(d.main()))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	rows, err := connection.Query(ctx, "SELECT DISTINCT rpc_address, rpc_port FROM cluster_membership WHERE "+alive)
	if err != nil {
		return fmt.Errorf("look for the other processes: %w", err)
	}
	members, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (found member, err error) {
		return found, row.Scan(&found.address, &found.port)
	})
	if err != nil {
		return fmt.Errorf("look for the other processes: %w", err)
	}
	for _, dead := range unanswered(ctx, members) {
		const statement = "DELETE FROM cluster_membership WHERE rpc_address = $1 AND rpc_port = $2"
		if _, err := connection.Exec(ctx, statement, dead.address, dead.port); err != nil {
			return fmt.Errorf("forget a dead process: %w", err)
		}
	}
	return nil
}

// unanswered returns the members to which no connection can be made.
func unanswered(ctx context.Context, members []member) (dead []member) {
	answers := make([]bool, len(members))
	var group errgroup.Group
	group.SetLimit(50)
	for i, each := range members {
		group.Go(func() error {
			dialer := net.Dialer{Timeout: dialTimeout}
			connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(each.address, strconv.Itoa(each.port)))
			if err != nil {
				return nil //nolint:nilerr // not to answer is the answer
			}
			answers[i] = true
			return connection.Close()
		})
	}
	_ = group.Wait()
	for i, each := range members {
		if !answers[i] {
			dead = append(dead, each)
		}
	}
	return dead
}

// awaitFrontend waits until a frontend has told the others of itself: the
// worker service gives up when it finds none.
func (d database) awaitFrontend(ctx context.Context) error {
	connection, err := pgx.ConnectConfig(ctx, d.at(d.main()))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	for {
		var found bool
		const frontend = 1 // Temporal's number of the role
		err := connection.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM cluster_membership WHERE role = $1 AND "+alive+")", frontend).Scan(&found)
		if err != nil {
			return fmt.Errorf("wait for a frontend: %w", err)
		}
		if found {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a frontend: %w", ctx.Err())
		case <-time.After(retryPause):
		}
	}
}
