package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func productTests() tests {
	return tests{
		"a product comes back whole":       productWhole,
		"an id is used once":               productOnce,
		"a deleted product is closed":      productClosed,
		"a deleted product touches no one": productAlone,
	}
}

func productWhole(t *testing.T, f *fixture) {
	p, err := f.CreateProduct(f.ctx, "prod_x", "X")
	require.NoError(t, err)
	require.Equal(t, schemas.Product{ID: "prod_x", Name: "X", CreatedAt: at(f.clock.now())}, p)
	require.NoError(t, f.RenameProduct(f.ctx, "prod_x", "Y"))
	p.Name = "Y"
	read, err := f.Product(f.ctx, "prod_x")
	require.NoError(t, err)
	require.Equal(t, p, read)
	_, err = f.Product(f.ctx, "prod_none")
	requireCode(t, schemas.NotFound, err)
	requireCode(t, schemas.NotFound, f.RenameProduct(f.ctx, "prod_none", "Z"))
	requireCode(t, schemas.NotFound, f.DeleteProduct(f.ctx, "prod_none"))
}

func productOnce(t *testing.T, f *fixture) {
	_, err := f.CreateProduct(f.ctx, north, "again")
	requireCode(t, schemas.Conflict, err)
	require.NoError(t, f.DeleteProduct(f.ctx, north))
	_, err = f.CreateProduct(f.ctx, north, "again")
	requireCode(t, schemas.Conflict, err)
}

func productClosed(t *testing.T, f *fixture) {
	_, secret, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	tool := f.tool(t, north, "revenue")
	source, lease := f.leased(t)
	f.index(t, source, lease, "text")
	call := f.call(t, "msg_1", newCall("revenue"))
	in := f.draft(t, "s", "msg_2", "not opened yet")
	f.clock.advance(time.Minute)
	require.NoError(t, f.DeleteProduct(f.ctx, north))

	f.requireNoKey(t, secret)
	_, err = f.Product(f.ctx, north)
	requireCode(t, schemas.NotFound, err)
	requireCode(t, schemas.NotFound, f.DeleteProduct(f.ctx, north))
	requireCode(t, schemas.NotFound, f.RenameProduct(f.ctx, north, "x"))
	_, _, err = f.CreateKey(f.ctx, north, "late")
	requireCode(t, schemas.NotFound, err)
	_, err = f.CreateTool(f.ctx, north, toolSpec("late"), store.Idempotency{})
	requireCode(t, schemas.NotFound, err)
	_, _, err = f.CreateSource(f.ctx, north, sourceSpec(site+"late/"), store.Idempotency{})
	requireCode(t, schemas.NotFound, err)
	opened, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, schemas.Gone, opened.Refusal.Code)

	_, err = f.Tool(f.ctx, north, tool.ID)
	requireCode(t, schemas.NotFound, err)
	_, err = f.Turn(f.ctx, north, "msg_1")
	requireCode(t, schemas.NotFound, err)
	_, err = f.ClaimCall(f.ctx, north, "msg_1", call)
	requireCode(t, schemas.Gone, err)
	_, err = f.Messages(f.ctx, north, "session of msg_1")
	requireCode(t, schemas.NotFound, err)
	conversations, err := f.Conversations(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Zero(t, conversations.Total)
	_, err = f.Source(f.ctx, north, source)
	requireCode(t, schemas.NotFound, err)
	require.Equal(t, []bool{false}, f.live(t, store.DocumentRef{Source: source, Document: lease.ID, Version: lease.Version}))
	turns, err := f.StaleTurns(f.ctx, f.clock.now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, turns)
	sources, err := f.StaleSources(f.ctx, f.clock.now(), 10)
	require.NoError(t, err)
	require.Equal(t, []store.StaleSource{{Product: north, Source: source, Run: 1, Deleted: true}}, sources, "the sweep purges it")
}

func productAlone(t *testing.T, f *fixture) {
	_, secret, err := f.CreateKey(f.ctx, south, "ci")
	require.NoError(t, err)
	tool := f.tool(t, south, "revenue")
	before := f.snapshot(t, south)
	require.NoError(t, f.DeleteProduct(f.ctx, north))
	f.requireKey(t, secret, south)
	_, err = f.Tool(f.ctx, south, tool.ID)
	require.NoError(t, err)
	require.Equal(t, before, f.snapshot(t, south))
	list, err := f.Products(f.ctx, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, list.Total)
	require.Equal(t, south, list.Items[0].ID)
}
