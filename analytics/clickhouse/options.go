package clickhouse

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/churl"
)

const (
	defaultDatabase = "runa"
	nativePort      = "9000"
	securePort      = "9440"
	dialTimeout     = 10 * time.Second
	// idleTimeout is below the keep-alive of every server (10 s and more), so
	// that no insert goes out on a connection that is being closed.
	idleTimeout = 5 * time.Second
)

// optionsOf reads the URL.
func optionsOf(cfg Config) (*clickhouse.Options, error) {
	address, err := addressOf(cfg.URL)
	if err != nil {
		return nil, err
	}
	options, err := clickhouse.ParseDSN(address)
	if err != nil {
		return nil, fmt.Errorf("analytics: the ClickHouse URL: %w", plain(err))
	}
	if options.Auth.Database == "" {
		options.Auth.Database = defaultDatabase
	}
	if options.Protocol == clickhouse.Native {
		addPorts(options)
	}
	// Without a logger, debug=true in the URL prints statements.
	options.Logger = slog.New(slog.DiscardHandler)
	if options.DialTimeout == 0 {
		options.DialTimeout = dialTimeout
	}
	options.ReadTimeout = cfg.Timeout
	options.MaxOpenConns, options.MaxIdleConns = cfg.MaxConns, cfg.MaxConns
	options.ClientInfo.Products = append(options.ClientInfo.Products, struct{ Name, Version string }{"runa", ""})
	options.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) {
		t.IdleConnTimeout = idleTimeout
		return t, nil
	}
	return options, nil
}

// addressOf checks the scheme and lets https mean TLS by itself, as it does
// everywhere else. The parser's error shows the URL, so it is dropped.
func addressOf(raw string) (string, error) {
	u, err := churl.Parse(raw)
	if err != nil {
		return "", errors.New("analytics: the ClickHouse URL is not a URL (special characters of a password must be escaped)")
	}
	switch u.Scheme {
	case "clickhouse", "http":
	case "https":
		secure(u)
	default:
		return "", errors.New("analytics: the ClickHouse URL must begin with clickhouse://, http:// or https://")
	}
	return u.String(), nil
}

func secure(u *url.URL) {
	query := u.Query()
	if !query.Has("secure") {
		query.Set("secure", "true")
		u.RawQuery = query.Encode()
	}
}

// addPorts completes hosts without a port, which the driver does not dial.
func addPorts(options *clickhouse.Options) {
	port := nativePort
	if options.TLS != nil {
		port = securePort
	}
	for i, host := range options.Addr {
		if _, _, err := net.SplitHostPort(host); err != nil {
			options.Addr[i] = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
	}
}
