// Package elastic is the search.Index on Elasticsearch 8, for more chunks or
// more processes than one SQLite file serves. Its answers are those of the
// embedded index. It does not crawl, split or decide what is alive.
//
// All products share one index behind an alias, since an index each would be
// too many for a cluster. What a question of one product finds must all the
// same follow from that product's text alone. So the words are indexed with the
// product in front of them (see scope): a product has postings of its own,
// which are all that its questions read. Elasticsearch proposes candidates by
// them; their score is worked out here, as FTS5 would, from counts over the
// product (see bm25.go), and the second ranking is package search's.
package elastic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8"

	"runa/search"
)

// Config says where Elasticsearch is and how it is used.
type Config struct {
	// URL of a node or of what stands before the nodes; it may hold a user and
	// a password. Required.
	URL string
	// APIKey goes instead of user and password.
	APIKey string
	// Prefix of the names of indices and aliases; "" is "runa".
	Prefix string
	// Shards of a new index; 0 is 1. A product is in one of them.
	Shards int
	// Timeout of one request; 0 is 10 s. A call that sends several, or sends
	// one again, ends with its context.
	Timeout time.Duration
	// MaxConns is how many requests are under way at once; 0 is 32.
	MaxConns int
	// Logger hears of what is worth an operator's notice; nil is silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "runa"
	}
	if c.Shards <= 0 {
		c.Shards = 1
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 32
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Index is a search.Index on Elasticsearch. Any number of processes may use
// the same.
type Index struct {
	cfg       Config
	client    *elasticsearch.BaseClient
	transport *http.Transport
	fields    sync.Map // of vectors, that indices are known to have: "index/field"
}

var _ search.Index = (*Index)(nil)

// Open connects to an index that Migrate has made.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	x, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := x.generations(ctx); err != nil {
		_ = x.Close()
		return nil, fmt.Errorf("search/elastic: open: %w", err)
	}
	return x, nil
}

// connect makes the client and sends nothing.
func connect(cfg Config) (*Index, error) {
	cfg = cfg.withDefaults()
	address, err := url.Parse(cfg.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("search/elastic: URL must be http://… or https://…") // not told: it may hold a password
	}
	password, _ := address.User.Password()
	user := address.User.Username()
	address.User = nil
	transport := &http.Transport{
		MaxConnsPerHost:     cfg.MaxConns,
		MaxIdleConnsPerHost: cfg.MaxConns,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: cfg.Timeout,
	}
	client, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses: []string{address.String()},
		Username:  user, Password: password, APIKey: cfg.APIKey,
		DisableRetry: true, // what is sent again is decided in retry.go
		Transport:    transport,
	})
	if err != nil {
		return nil, fmt.Errorf("search/elastic: %w", err)
	}
	return &Index{cfg: cfg, client: client, transport: transport}, nil
}

// Ping implements search.Index: it looks for chunks of nobody.
func (x *Index) Ping(ctx context.Context) error {
	_, err := x.search(ctx, scopeOf(""), &query{})
	return wrap("ping", err)
}

// Close implements search.Index.
func (x *Index) Close() error {
	x.transport.CloseIdleConnections()
	return nil
}

// alias is the name by which chunks are read and written.
func (x *Index) alias() string { return x.cfg.Prefix + "-chunks" }

// nextAlias is the name of the generation that a rebuild is filling.
func (x *Index) nextAlias() string { return x.cfg.Prefix + "-chunks-next" }

// indexName is the name of the index of a generation.
func (x *Index) indexName(generation string) string {
	return fmt.Sprintf("%s-chunks-v%d-%s", x.cfg.Prefix, mappingVersion, strings.ToLower(generation))
}
