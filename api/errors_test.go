package api

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// codes are the constants of type Code in package schemas.
func codes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "schemas", "error.go"), nil, 0)
	require.NoError(t, err)
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if named, ok := spec.Type.(*ast.Ident); ok && named.Name == "Code" {
			literal, ok := spec.Values[0].(*ast.BasicLit)
			require.True(t, ok)
			code, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			found = append(found, code)
		}
		return true
	})
	slices.Sort(found)
	return found
}

func TestEveryCodeHasAStatusAndIsDocumented(t *testing.T) {
	t.Parallel()
	var mapped, documented []string
	for code, status := range statuses {
		mapped = append(mapped, string(code))
		require.NotEmpty(t, http.StatusText(status), code)
		require.GreaterOrEqual(t, status, 400, code)
	}
	document, err := loadSpec()
	require.NoError(t, err)
	for _, code := range document.document.Components.Schemas["ErrorCode"].Value.Enum {
		documented = append(documented, fmt.Sprint(code))
	}
	slices.Sort(mapped)
	slices.Sort(documented)
	require.Equal(t, codes(t), mapped)
	require.Equal(t, codes(t), documented)
}

// failing is a server with a route that fails.
func failing(t *testing.T, do func(*gin.Context) error) *bench {
	t.Helper()
	b := setup(t, nil)
	b.router.GET("/fails", b.handle(do))
	return b
}

func TestWhatCallersSeeOfAnError(t *testing.T) {
	t.Parallel()
	limited := &schemas.Error{Code: schemas.RateLimited, Message: "slow down", RetryAfter: 1001 * time.Millisecond}
	for name, c := range map[string]struct {
		err     error
		status  int
		code    schemas.Code
		message string
		after   string
	}{
		"ours":            {schemas.Errorf(schemas.Conflict, "taken"), 409, schemas.Conflict, "taken", ""},
		"wrapped":         {fmt.Errorf("store: %w", schemas.Errorf(schemas.NotFound, "no such")), 404, schemas.NotFound, "no such", ""},
		"says when":       {limited, 429, schemas.RateLimited, "slow down", "2"},
		"does not say":    {schemas.Errorf(schemas.Unavailable, "away"), 503, schemas.Unavailable, "away", "1"},
		"unknown":         {errors.New("SELECT secret FROM t"), 500, schemas.Internal, "Internal error", ""},
		"internal":        {schemas.Errorf(schemas.Internal, "secret"), 500, schemas.Internal, "Internal error", ""},
		"code of another": {schemas.Errorf("code_of_a_newer_version", "secret"), 500, schemas.Internal, "Internal error", ""},
		"late":            {fmt.Errorf("read: %w", context.DeadlineExceeded), 503, schemas.Unavailable, "what this needs did not answer in time", "1"},
		"canceled":        {context.Canceled, 500, schemas.Internal, "Internal error", ""},
	} {
		b := failing(t, func(*gin.Context) error { return c.err })
		a := b.send(t, "GET", "/fails", "")
		a.require(t, c.status, c.code)
		require.Equal(t, c.message, a.Error.Message, name)
		require.Equal(t, c.after, a.Header().Get("Retry-After"), name)
		require.NotContains(t, a.Body.String(), "secret", name)
		require.Equal(t, c.status >= 500, strings.Contains(b.log.String(), a.Error.RequestID), "%s: what is ours is logged", name)
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	b := failing(t, func(*gin.Context) error { panic("the secret of a panic") })
	a := b.send(t, "GET", "/fails", "", "X-Request-Id", "given-id")
	a.require(t, http.StatusInternalServerError, schemas.Internal)
	require.Equal(t, "given-id", a.Error.RequestID)
	require.NotContains(t, a.Body.String(), "secret")
	require.Contains(t, b.log.String(), "the secret of a panic")
	require.Contains(t, b.log.String(), "given-id")
	b.send(t, "GET", "/livez", "").require(t, http.StatusOK, "")
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for given, kept := range map[string]bool{
		"abc-1/2:3": true, "": false, "with space": false, strings.Repeat("x", 129): false, "quote\"": false, "ümlaut": false,
	} {
		got := b.send(t, "GET", "/livez", "", "X-Request-Id", given).Header().Get("X-Request-Id")
		require.Equal(t, kept, got == given, "%q", given)
		if !kept {
			require.Regexp(t, "^req_", got)
		}
	}
}

func TestReadyzNamesWhatFails(t *testing.T) {
	t.Parallel()
	well := func(ctx context.Context) error { return ctx.Err() }
	sick := func(context.Context) error { return errors.New("dial 10.1.2.3: refused") }
	hung := func(ctx context.Context) error { // it takes nothing from the others
		<-ctx.Done()
		return ctx.Err()
	}
	for _, test := range []struct {
		engine, search func(context.Context) error
		code           int
		body           string
	}{
		{well, well, http.StatusOK, `{"status":"ok","checks":{"records":"ok","engine":"ok","search":"ok"}}`},
		{well, hung, http.StatusOK, `{"status":"degraded","checks":{"records":"ok","engine":"ok","search":"failed"}}`},
		{sick, well, http.StatusServiceUnavailable, `{"status":"unavailable","checks":{"records":"ok","engine":"failed","search":"ok"}}`},
		{sick, hung, http.StatusServiceUnavailable, `{"status":"unavailable","checks":{"records":"ok","engine":"failed","search":"failed"}}`},
	} {
		b := setup(t, func(cfg *Config) {
			cfg.Checks = map[string]Check{"records": {Ask: well}, "engine": {Ask: test.engine}, "search": {Ask: test.search, Spared: true}}
		})
		a := b.send(t, "GET", "/readyz", "")
		require.Equal(t, test.code, a.Code, test.body)
		require.JSONEq(t, test.body, a.Body.String())
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		code  schemas.Code
		param string
	}{
		`{"message":"m"}`:              {"", ""},
		` {"message":"m"} `:            {"", ""},
		`{"message":null}`:             {"", ""},
		``:                             {schemas.InvalidRequest, ""},
		`{`:                            {schemas.InvalidRequest, ""},
		`{"message":"m"`:               {schemas.InvalidRequest, ""},
		`{"message":"m"}}`:             {schemas.InvalidRequest, ""},
		`{"message":"m"}{}`:            {schemas.InvalidRequest, ""},
		`[]`:                           {schemas.InvalidRequest, ""},
		`"text"`:                       {schemas.InvalidRequest, ""},
		`7`:                            {schemas.InvalidRequest, ""},
		`{"message":7}`:                {schemas.InvalidRequest, "message"},
		`{"message":["m"]}`:            {schemas.InvalidRequest, "message"},
		`{"message":"m","wait":"1"}`:   {schemas.InvalidRequest, "wait"},
		`{"message":"m","wait":1.5}`:   {schemas.InvalidRequest, "wait"},
		`{"message":"m","wait":1e300}`: {schemas.InvalidRequest, "wait"},
		`{"message":"m","mesage":"x"}`: {schemas.UnknownField, "mesage"},
	} {
		var req schemas.ChatRequest
		err := decode([]byte(body), &req)
		require.Equal(t, want.code, schemas.CodeOf(err), "%s: %v", body, err)
		if err != nil {
			require.Equal(t, want.param, schemas.AsError(err).Param, body)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"message":"m"}`, `{"wait":1}`, `[]`, `{"a":{"b":1}}`, `{"message":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var req schemas.ChatRequest
		if err := decode(body, &req); err != nil {
			require.NotNil(t, schemas.AsError(err), "every refusal is the caller's: %v", err)
		}
	})
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.engine.startTurn = b.ends(schemas.TurnCompleted, nil)
	for key, fits := range map[string]bool{
		"k": true, strings.Repeat("k", 255): true, "with space": true, "": false, strings.Repeat("k", 256): false, "tab\tin": false, "ü": false,
	} {
		a := b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", key)
		if fits {
			a.require(t, http.StatusOK, "")
			continue
		}
		a.require(t, http.StatusBadRequest, schemas.InvalidRequest)
		require.Equal(t, "Idempotency-Key", a.Error.Param)
	}
}
