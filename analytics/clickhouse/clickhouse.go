// Package clickhouse is the analytics.Store of many machines: the events of all
// products in one table of a ClickHouse server, shared by every process. It
// speaks the native protocol or HTTP, as the URL says. It keeps nothing in
// memory and retries nothing: who writes a batch repeats it until it is taken.
package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"runa/analytics"
	"runa/schemas"
)

// Config says where the server is and how to use it.
type Config struct {
	// URL is clickhouse://user:password@host:9000/database for the native
	// protocol, or http(s)://…:8123/database; the database is "runa" by
	// default. Parameters are those of clickhouse-go, such as secure=true. It
	// holds a password and appears in no error.
	URL string
	// Retention is how long events are kept; default 0: for ever. Migrate
	// applies it, to events that are there as well.
	Retention time.Duration
	// Timeout bounds each call, beside the caller's own deadline; default 30 s.
	Timeout time.Duration
	// MaxConns bounds the connections of this process; default 10.
	MaxConns int
	// Logger hears of migrations; default: nobody.
	Logger *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

func (cfg Config) withDefaults() Config {
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 10)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// Store is an analytics.Store on a server.
type Store struct {
	conn    driver.Conn
	timeout time.Duration
	now     func() time.Time
}

var _ analytics.Store = (*Store)(nil)

// Open connects to a database that Migrate has made. A schema that is older
// than this program is an ErrSchema; a newer one is fine, because a schema only
// grows and processes are replaced after it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	conn, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if err := checkSchema(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Store{conn: conn, timeout: cfg.Timeout, now: cfg.Now}, nil
}

func connect(cfg Config) (driver.Conn, error) {
	options, err := optionsOf(cfg)
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("analytics: %w", err)
	}
	return conn, nil
}

// Ping implements analytics.Store.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.conn.Ping(ctx); err != nil {
		return fmt.Errorf("analytics: ping: %w", plain(err))
	}
	return nil
}

// Close implements analytics.Store. Later calls fail; closing again does
// nothing.
func (s *Store) Close() error { return s.conn.Close() }

// busy are the server's codes for a query that it has no time, room or quorum
// for: too slow, too many, the network, memory, read only, no keeper.
var busy = []int32{159, 202, 209, 210, 241, 242, 999}

// away gives the failure of a server that cannot be reached or is busy its
// code.
func away(err error) error {
	var said *clickhouse.Exception
	if errors.Is(err, context.Canceled) || errors.As(err, &said) && !slices.Contains(busy, said.Code) {
		return err
	}
	return errors.Join(schemas.Errorf(schemas.Unavailable, "the store of analytics cannot be reached now"), err)
}

// plain takes the request's URL out of an error: it holds credentials and the
// statement.
func plain(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
