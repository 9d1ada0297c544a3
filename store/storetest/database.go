package storetest

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func databaseTests() tests {
	return tests{
		"it answers":                      pings,
		"what was answered is there":      reopened,
		"two processes work together":     twoProcesses,
		"first starts of many at once":    firstStarts,
		"first keys of many at once":      firstKeys,
		"a closed store answers no more":  closed,
		"two stores see each other's act": seeEachOther,
	}
}

func pings(t *testing.T, f *fixture) { require.NoError(t, f.Ping(f.ctx)) }

func reopened(t *testing.T, f *fixture) {
	f.furnish(t)
	_, secret, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	batch := f.stamp(t, 2)
	before, depth := f.snapshot(t, north), f.depth(t)
	require.NoError(t, f.Close())

	f.Store = f.again(t)
	require.Equal(t, before, f.snapshot(t, north))
	require.Equal(t, depth, f.depth(t))
	require.Equal(t, batch, f.stamp(t, 2))
	f.requireKey(t, secret, north)
}

func twoProcesses(t *testing.T, f *fixture) { f.contend(t, f.Store, f.again(t)) }

func seeEachOther(t *testing.T, f *fixture) {
	other := f.again(t)
	f.furnish(t)
	mine := f.snapshot(t, north)
	f.Store = other
	require.Equal(t, mine, f.snapshot(t, north))
	k, secret, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	third := f.again(t)
	require.NoError(t, third.RevokeKey(f.ctx, k.ID))
	f.requireNoKey(t, secret)
}

// firstStarts opens a database that has no schema yet from many sides.
func firstStarts(t *testing.T, f *fixture) {
	var keys atomic.Int64
	err := together(8, func(int) error {
		s := f.fresh(t)
		made, err := s.Bootstrap(f.ctx, "", "")
		if made != (store.FirstKeys{}) {
			keys.Add(1)
		}
		return err
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, keys.Load())
}

// firstKeys lets many that have opened a new database make what it has once.
func firstKeys(t *testing.T, f *fixture) {
	var stores []*store.Store
	for range 4 {
		stores = append(stores, f.fresh(t))
	}
	var keys, products atomic.Int64
	bootstrap := func(productKey string) func(i int) error {
		return func(i int) error {
			made, err := stores[i%len(stores)].Bootstrap(f.ctx, productKey, "")
			if made.Product != "" {
				products.Add(1)
			}
			if made.Operator != "" {
				keys.Add(1)
			}
			return err
		}
	}
	require.NoError(t, together(20, bootstrap("")))
	require.EqualValues(t, 1, products.Load())
	require.EqualValues(t, 1, keys.Load())
	require.NoError(t, together(20, bootstrap("a key that is given to all of them")))
	f.Store = stores[0]
	list, err := f.Keys(f.ctx, schemas.DefaultProduct, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, list.Total, "the given key took the place of the one that was made")
}

func closed(t *testing.T, f *fixture) {
	require.NoError(t, f.Close())
	require.Error(t, f.Ping(f.ctx))
	_, err := f.PutDraft(f.ctx, north, "late")
	require.Error(t, err)
	_, err = f.Product(f.ctx, north)
	require.Error(t, err)
	require.NoError(t, f.Close())
}
