package storetest

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func toolTests() tests {
	return tests{
		"a tool comes back whole":              toolWhole,
		"an identical definition is that tool": toolIdentical,
		"a different one is a conflict":        toolConflict,
		"a name made by many at once":          toolAtOnce,
		"a patch changes what it names":        toolPatch,
		"a patch that is not valid":            toolPatchInvalid,
		"a taken name is a conflict":           toolPatchName,
		"a deleted tool is gone":               toolDeleted,
		"a key binds a body":                   toolKey,
		"a key is its product's and kind's":    toolKeyApart,
	}
}

// Secret is the value of the secret header of every tool that the suite makes,
// so that who owns the database can look for it there.
const Secret = "Bearer storetest-secret-7f3a"

func toolSpec(name string) schemas.ToolSpec {
	spec := schemas.ToolSpec{
		Name: name, Description: "Revenue of a <period> & more", Endpoint: "https://api.example/v1/{period}", Method: "get",
		Parameters: json.RawMessage(`{"type":"object","properties":{"period":{"type":"string","pattern":"<a&b>"}}}`),
		Headers:    map[string]string{"X-Team": "sales", "Authorization": Secret},
	}
	spec.Normalize()
	return spec
}

func (f *fixture) tool(t *testing.T, product, name string) schemas.Tool {
	t.Helper()
	tool, err := f.CreateTool(f.ctx, product, toolSpec(name), store.Idempotency{})
	require.NoError(t, err)
	return tool
}

func valid(*schemas.ToolSpec) error { return nil }

func toolWhole(t *testing.T, f *fixture) {
	made := f.tool(t, north, "revenue")
	spec := toolSpec("revenue")
	require.Equal(t, schemas.Tool{
		ID: made.ID, Name: spec.Name, Description: spec.Description, Endpoint: spec.Endpoint, Method: "GET",
		Parameters: made.Parameters, HeaderNames: []string{"Authorization", "X-Team"}, TimeoutMs: schemas.DefaultToolTimeoutMs,
		Effect: schemas.EffectRead, Status: schemas.ToolActive, CreatedAt: at(f.clock.now()),
	}, made)
	require.JSONEq(t, string(spec.Parameters), string(made.Parameters))
	require.NotContains(t, asJSON(t, made), Secret)

	read, err := f.Tool(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, read)
	read, headers, err := f.ToolWithHeaders(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, read)
	require.Equal(t, spec.Headers, headers)
	list, err := f.Tools(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Tool{made}, list.Items)

	bare, err := f.CreateTool(f.ctx, north, schemas.ToolSpec{Name: "bare", Method: "POST"}, store.Idempotency{})
	require.NoError(t, err)
	require.Empty(t, bare.Parameters)
	require.Equal(t, []string{}, bare.HeaderNames)
}

func toolIdentical(t *testing.T, f *fixture) {
	made := f.tool(t, north, "revenue")
	f.clock.advance(time.Hour)
	require.Equal(t, made, f.tool(t, north, "revenue"))
	other := f.tool(t, south, "revenue")
	require.NotEqual(t, made.ID, other.ID)
	list, err := f.Tools(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, list.Total)
}

func toolConflict(t *testing.T, f *fixture) {
	made := f.tool(t, north, "revenue")
	for name, change := range map[string]func(*schemas.ToolSpec){
		"description": func(s *schemas.ToolSpec) { s.Description = "other" },
		"endpoint":    func(s *schemas.ToolSpec) { s.Endpoint = "https://other.example/" },
		"method":      func(s *schemas.ToolSpec) { s.Method = "PUT" },
		"parameters":  func(s *schemas.ToolSpec) { s.Parameters = nil },
		"a secret":    func(s *schemas.ToolSpec) { s.Headers["Authorization"] = "Bearer other" },
		"a header":    func(s *schemas.ToolSpec) { delete(s.Headers, "X-Team") },
		"timeout":     func(s *schemas.ToolSpec) { s.TimeoutMs = 1 },
		"effect":      func(s *schemas.ToolSpec) { s.Effect = schemas.EffectUnsafe },
	} {
		spec := toolSpec("revenue")
		change(&spec)
		_, err := f.CreateTool(f.ctx, north, spec, store.Idempotency{})
		require.Equal(t, schemas.Conflict, schemas.CodeOf(err), name)
		require.Equal(t, "name", schemas.AsError(err).Param)
	}
	read, headers, err := f.ToolWithHeaders(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, read)
	require.Equal(t, toolSpec("revenue").Headers, headers)
}

func toolAtOnce(t *testing.T, f *fixture) {
	var ids sync.Map
	err := together(20, func(i int) error {
		var key store.Idempotency
		if i%2 == 0 {
			key = store.Idempotency{Key: "k", BodyHash: "h"}
		}
		tool, err := f.CreateTool(f.ctx, north, toolSpec("revenue"), key)
		ids.Store(tool.ID, true)
		return err
	})
	require.NoError(t, err)
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n)
}

func toolPatch(t *testing.T, f *fixture) {
	made := f.tool(t, north, "revenue")
	f.clock.advance(time.Hour)
	name, timeout := "income", 5000
	var seen schemas.ToolSpec
	patched, err := f.UpdateTool(f.ctx, north, made.ID, schemas.ToolPatch{Name: &name, TimeoutMs: &timeout},
		func(s *schemas.ToolSpec) error { seen = *s; return nil })
	require.NoError(t, err)
	want := made
	want.Name, want.TimeoutMs = name, timeout
	require.Equal(t, want, patched)
	require.Equal(t, Secret, seen.Headers["Authorization"], "what is checked is the whole definition")
	_, headers, err := f.ToolWithHeaders(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, toolSpec("revenue").Headers, headers)

	replaced := map[string]string{"X-New": "v"}
	patched, err = f.UpdateTool(f.ctx, north, made.ID, schemas.ToolPatch{Headers: &replaced}, valid)
	require.NoError(t, err)
	require.Equal(t, []string{"X-New"}, patched.HeaderNames)
	_, headers, err = f.ToolWithHeaders(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, replaced, headers)
	require.NotEqual(t, made.ID, f.tool(t, north, "revenue").ID, "the old name is free")
}

func toolPatchInvalid(t *testing.T, f *fixture) {
	made := f.tool(t, north, "revenue")
	refusal := errors.New("no")
	name := "other"
	_, err := f.UpdateTool(f.ctx, north, made.ID, schemas.ToolPatch{Name: &name}, func(*schemas.ToolSpec) error { return refusal })
	require.ErrorIs(t, err, refusal)
	read, err := f.Tool(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, read)
	_, err = f.UpdateTool(f.ctx, north, "tool_none", schemas.ToolPatch{}, valid)
	requireCode(t, schemas.NotFound, err)
}

func toolPatchName(t *testing.T, f *fixture) {
	f.tool(t, north, "revenue")
	other := f.tool(t, north, "users")
	f.tool(t, south, "free")
	name, same, free := "revenue", "users", "free"
	_, err := f.UpdateTool(f.ctx, north, other.ID, schemas.ToolPatch{Name: &name}, valid)
	requireCode(t, schemas.Conflict, err)
	for _, name := range []string{same, free} {
		_, err = f.UpdateTool(f.ctx, north, other.ID, schemas.ToolPatch{Name: &name}, valid)
		require.NoError(t, err)
	}
}

func toolDeleted(t *testing.T, f *fixture) {
	made := f.tool(t, north, "revenue")
	kept := f.tool(t, north, "users")
	require.NoError(t, f.DeleteTool(f.ctx, north, made.ID))
	_, err := f.Tool(f.ctx, north, made.ID)
	requireCode(t, schemas.NotFound, err)
	_, _, err = f.ToolWithHeaders(f.ctx, north, made.ID)
	requireCode(t, schemas.NotFound, err)
	requireCode(t, schemas.NotFound, f.DeleteTool(f.ctx, north, made.ID))
	list, err := f.Tools(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Tool{kept}, list.Items)
	require.NotEqual(t, made.ID, f.tool(t, north, "revenue").ID)
}

func toolKey(t *testing.T, f *fixture) {
	key := store.Idempotency{Key: "k", BodyHash: "body"}
	made, err := f.CreateTool(f.ctx, north, toolSpec("revenue"), key)
	require.NoError(t, err)
	name := "renamed"
	_, err = f.UpdateTool(f.ctx, north, made.ID, schemas.ToolPatch{Name: &name}, valid)
	require.NoError(t, err)
	again, err := f.CreateTool(f.ctx, north, toolSpec("revenue"), key)
	require.NoError(t, err)
	require.Equal(t, made.ID, again.ID, "the key reaches the object, whatever it is called now")
	require.Equal(t, name, again.Name)

	_, err = f.CreateTool(f.ctx, north, toolSpec("revenue"), store.Idempotency{Key: "k", BodyHash: "other body"})
	requireCode(t, schemas.IdempotencyMismatch, err)
	_, err = f.CreateTool(f.ctx, north, toolSpec("renamed"), store.Idempotency{Key: "k2", BodyHash: "body"})
	require.NoError(t, err, "an identical definition under another key")

	_, err = f.CreateTool(f.ctx, north, schemas.ToolSpec{Name: "renamed"}, store.Idempotency{Key: "k3", BodyHash: "x"})
	requireCode(t, schemas.Conflict, err)
	_, err = f.CreateTool(f.ctx, north, schemas.ToolSpec{Name: "fresh"}, store.Idempotency{Key: "k3", BodyHash: "y"})
	require.NoError(t, err, "a refusal binds no key")

	require.NoError(t, f.DeleteTool(f.ctx, north, made.ID))
	fresh, err := f.CreateTool(f.ctx, north, toolSpec("other"), store.Idempotency{Key: "k", BodyHash: "other body"})
	require.NoError(t, err)
	require.NotEqual(t, made.ID, fresh.ID)
}

func toolKeyApart(t *testing.T, f *fixture) {
	key := store.Idempotency{Key: "k", BodyHash: "body"}
	made, err := f.CreateTool(f.ctx, north, toolSpec("revenue"), key)
	require.NoError(t, err)
	other, err := f.CreateTool(f.ctx, south, toolSpec("other"), store.Idempotency{Key: "k", BodyHash: "other body"})
	require.NoError(t, err)
	require.NotEqual(t, made.ID, other.ID)
	_, _, err = f.CreateSource(f.ctx, north, sourceSpec("https://a.example/"), store.Idempotency{Key: "k", BodyHash: "third body"})
	require.NoError(t, err)
}
