package api

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/seal"
	"runa/store"
)

const (
	productKey  = "runa_live_product_key_for_the_tests_of_the_api"
	operatorKey = "runa_op_operator_key_for_the_tests_of_the_api"
)

// engine is an Engine that a test writes. A method that it did not write
// panics.
type engine struct {
	startTurn  func(ctx context.Context, in schemas.TurnInput) (bool, error)
	startCrawl func(ctx context.Context, product, source string, run int64) error
	startPurge func(ctx context.Context, product, source string) error
	turnOpen   func(ctx context.Context, product, turn string) (bool, error)
}

var _ Engine = (*engine)(nil)

func (e *engine) StartTurn(ctx context.Context, in schemas.TurnInput) (bool, error) {
	return e.startTurn(ctx, in)
}

func (e *engine) StartCrawl(ctx context.Context, product, source string, run int64) error {
	return e.startCrawl(ctx, product, source, run)
}

func (e *engine) StartPurge(ctx context.Context, product, source string) error {
	return e.startPurge(ctx, product, source)
}

func (e *engine) TurnOpen(ctx context.Context, product, turn string) (bool, error) {
	return e.turnOpen(ctx, product, turn)
}

func (e *engine) StartReindex(context.Context) error { panic("not written") }

func (e *engine) CancelReindex(context.Context) error { panic("not written") }

func (e *engine) Reindex(context.Context) (schemas.Reindex, error) { panic("not written") }

// bench is the API over a real store.
type bench struct {
	*Server
	engine *engine
	log    *syncBuffer
}

// syncBuffer is a log that many write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func setup(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	folder := t.TempDir()
	sealer, err := seal.Load(filepath.Join(folder, "keyset.json"), "")
	require.NoError(t, err)
	records, err := store.Open(t.Context(), store.Config{Path: filepath.Join(folder, "runa.db"), Migrate: true, Sealer: sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	_, err = records.Bootstrap(t.Context(), productKey, operatorKey)
	require.NoError(t, err)
	b := &bench{engine: &engine{}, log: &syncBuffer{}}
	cfg := Config{Store: records, Engine: b.engine, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	if change != nil {
		change(&cfg)
	}
	b.Server, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

// answer is what the API said.
type answer struct {
	*httptest.ResponseRecorder
	Error errorDetail `json:"error"`
	Turn  schemas.Turn
}

// send sends a request with the product's key; headers are pairs.
func (b *bench) send(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+productKey)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	b.Handler().ServeHTTP(a, req)
	if a.Code >= http.StatusBadRequest && path != "/readyz" {
		require.NoError(t, json.Unmarshal(a.Body.Bytes(), &a), "%s", a.Body)
		require.Equal(t, a.Header().Get("X-Request-Id"), a.Error.RequestID)
	} else if strings.HasPrefix(path, "/v1/chat") {
		require.NoError(t, json.Unmarshal(a.Body.Bytes(), &a.Turn))
	}
	return a
}

func (a answer) require(t *testing.T, status int, code schemas.Code) {
	t.Helper()
	require.Equal(t, status, a.Code, "%s", a.Body)
	require.Equal(t, code, a.Error.Code)
}

// opens is a StartTurn that opens the turn as its workflow would.
func (b *bench) opens(ctx context.Context, in schemas.TurnInput) (bool, error) {
	_, err := b.Store.OpenTurn(ctx, in)
	return true, err
}

// ends is a StartTurn whose turn ends at once.
func (b *bench) ends(status schemas.TurnStatus, failure *schemas.Error) func(context.Context, schemas.TurnInput) (bool, error) {
	return func(ctx context.Context, in schemas.TurnInput) (bool, error) {
		if _, err := b.opens(ctx, in); err != nil {
			return false, err
		}
		_, err := b.Store.CloseTurn(ctx, in.Product, in.Turn, store.Closing{Status: status, Error: failure})
		b.TurnChanged(in.Turn)
		return true, err
	}
}
