package storetest

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func keyTests() tests {
	return tests{
		"a key stands for its product":           keyStands,
		"a revoked key ends at once":             keyRevoked,
		"a key has a name":                       keyRenamed,
		"the first start makes keys once":        bootstrapOnce,
		"many first starts make keys once":       bootstrapAtOnce,
		"a given key replaces the one before":    bootstrapReplaces,
		"a given key spares the others":          bootstrapSpares,
		"a given key of another is a conflict":   bootstrapConflict,
		"an operator's key is nobody's business": operatorHidden,
		"a key of a product that is not there":   keyOfNobody,
	}
}

func (f *fixture) requireKey(t *testing.T, secret, product string) {
	t.Helper()
	p, err := f.Authenticate(f.ctx, secret)
	require.NoError(t, err)
	require.Equal(t, product, p.Product)
	require.NotEmpty(t, p.Key)
}

func (f *fixture) requireNoKey(t *testing.T, secret string) {
	t.Helper()
	p, err := f.Authenticate(f.ctx, secret)
	requireCode(t, schemas.Unauthenticated, err)
	require.Equal(t, store.Principal{}, p)
}

func keyStands(t *testing.T, f *fixture) {
	k, secret, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(secret, schemas.LiveKeyPrefix))
	require.True(t, schemas.WellFormedKey(secret))
	require.Equal(t, schemas.Key{
		ID: k.ID, ProductID: north, Name: "ci", Hint: secret[len(secret)-4:], CreatedAt: at(f.clock.now()),
	}, k)
	p, err := f.Authenticate(f.ctx, secret)
	require.NoError(t, err)
	require.Equal(t, store.Principal{Key: k.ID, Product: north}, p)
	read, err := f.Key(f.ctx, k.ID)
	require.NoError(t, err)
	require.Equal(t, k, read)
	for _, wrong := range []string{"", secret + "x", secret[1:], strings.ToUpper(secret), "' OR ''='"} {
		f.requireNoKey(t, wrong)
	}
}

func keyRevoked(t *testing.T, f *fixture) {
	k, secret, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	_, other, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	f.requireKey(t, secret, north)
	now := at(f.clock.advance(time.Minute))
	require.NoError(t, f.RevokeKey(f.ctx, k.ID))
	f.requireNoKey(t, secret)
	f.requireKey(t, other, north)
	read, err := f.Key(f.ctx, k.ID)
	require.NoError(t, err)
	require.Equal(t, &now, read.RevokedAt)
	requireCode(t, schemas.NotFound, f.RevokeKey(f.ctx, k.ID))
	requireCode(t, schemas.NotFound, f.RevokeKey(f.ctx, "key_none"))
	list, err := f.Keys(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 2, list.Total, "revoked ones are listed too")
}

func keyRenamed(t *testing.T, f *fixture) {
	k, _, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	require.NoError(t, f.RenameKey(f.ctx, k.ID, "deploy"))
	read, err := f.Key(f.ctx, k.ID)
	require.NoError(t, err)
	k.Name = "deploy"
	require.Equal(t, k, read)
	requireCode(t, schemas.NotFound, f.RenameKey(f.ctx, "key_none", "x"))
	_, err = f.Key(f.ctx, "key_none")
	requireCode(t, schemas.NotFound, err)
}

func (f *fixture) bootstrap(t *testing.T, product, operator string) store.FirstKeys {
	t.Helper()
	made, err := f.Bootstrap(f.ctx, product, operator)
	require.NoError(t, err)
	return made
}

func bootstrapOnce(t *testing.T, f *fixture) {
	made := f.bootstrap(t, "", "")
	require.True(t, strings.HasPrefix(made.Product, schemas.LiveKeyPrefix))
	require.True(t, strings.HasPrefix(made.Operator, schemas.OperatorKeyPrefix))
	_, err := f.Product(f.ctx, schemas.DefaultProduct)
	require.NoError(t, err)
	require.NoError(t, f.RenameProduct(f.ctx, schemas.DefaultProduct, "Mine"))
	require.Equal(t, store.FirstKeys{}, f.bootstrap(t, "", ""))
	f.requireKey(t, made.Product, schemas.DefaultProduct)
	f.requireKey(t, made.Operator, "")
	p, err := f.Product(f.ctx, schemas.DefaultProduct)
	require.NoError(t, err)
	require.Equal(t, "Mine", p.Name)

	list, err := f.Keys(f.ctx, schemas.DefaultProduct, store.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.NoError(t, f.RevokeKey(f.ctx, list.Items[0].ID))
	require.Equal(t, store.FirstKeys{}, f.bootstrap(t, "", ""), "once in the life of the database")
	require.NoError(t, f.DeleteProduct(f.ctx, schemas.DefaultProduct))
	require.Equal(t, store.FirstKeys{}, f.bootstrap(t, "", ""))
	_, err = f.Product(f.ctx, schemas.DefaultProduct)
	requireCode(t, schemas.NotFound, err)
}

func bootstrapAtOnce(t *testing.T, f *fixture) {
	var products, operators atomic.Int64
	err := together(10, func(int) error {
		made, err := f.Bootstrap(f.ctx, "", "")
		if made.Product != "" {
			products.Add(1)
		}
		if made.Operator != "" {
			operators.Add(1)
		}
		return err
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, products.Load())
	require.EqualValues(t, 1, operators.Load())
}

var given = []string{
	"a-key-of-the-operator's-own-choice-1", "a-key-of-the-operator's-own-choice-2",
	"a-key-of-the-operator's-own-choice-3", "a-key-of-the-operator's-own-choice-4",
}

func bootstrapReplaces(t *testing.T, f *fixture) {
	made := f.bootstrap(t, "", "")
	list, err := f.Keys(f.ctx, schemas.DefaultProduct, store.ListOptions{})
	require.NoError(t, err)
	require.NoError(t, f.RenameKey(f.ctx, list.Items[0].ID, "renamed"))

	for range 2 { // the same again changes nothing
		require.Equal(t, store.FirstKeys{}, f.bootstrap(t, given[0], given[1]))
		f.requireNoKey(t, made.Product)
		f.requireNoKey(t, made.Operator)
		f.requireKey(t, given[0], schemas.DefaultProduct)
		f.requireKey(t, given[1], "")
	}
	f.bootstrap(t, given[2], "")
	f.requireNoKey(t, given[0])
	f.requireKey(t, given[2], schemas.DefaultProduct)
	f.requireKey(t, given[1], "")
	require.Equal(t, store.FirstKeys{}, f.bootstrap(t, "", ""))
	f.requireKey(t, given[2], schemas.DefaultProduct)
	list, err = f.Keys(f.ctx, "", store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, list.Total)
}

func bootstrapSpares(t *testing.T, f *fixture) {
	f.bootstrap(t, given[0], "")
	_, mine, err := f.CreateKey(f.ctx, schemas.DefaultProduct, "first start")
	require.NoError(t, err)
	f.bootstrap(t, given[1], "")
	f.requireKey(t, mine, schemas.DefaultProduct)
	f.requireNoKey(t, given[0])

	f.bootstrap(t, mine, "")
	f.requireKey(t, mine, schemas.DefaultProduct)
	f.requireNoKey(t, given[1])
	f.bootstrap(t, given[2], "")
	f.requireKey(t, mine, schemas.DefaultProduct)

	list, err := f.Keys(f.ctx, schemas.DefaultProduct, store.ListOptions{})
	require.NoError(t, err)
	for _, k := range list.Items {
		require.NoError(t, f.RevokeKey(f.ctx, k.ID))
	}
	f.requireNoKey(t, given[2])
	f.bootstrap(t, given[2], "")
	f.requireKey(t, given[2], schemas.DefaultProduct)
}

func bootstrapConflict(t *testing.T, f *fixture) {
	k, secret, err := f.CreateKey(f.ctx, north, "ci")
	require.NoError(t, err)
	made := f.bootstrap(t, "", "")
	refused := func(product, operator string) {
		t.Helper()
		_, err := f.Bootstrap(f.ctx, product, operator)
		requireCode(t, schemas.Conflict, err)
		f.requireKey(t, made.Product, schemas.DefaultProduct)
		f.requireKey(t, made.Operator, "")
	}
	refused(secret, "")
	refused("", secret)
	refused(given[0], given[0])
	require.NoError(t, f.RevokeKey(f.ctx, k.ID))
	refused(secret, "")
	f.requireNoKey(t, secret)
}

func operatorHidden(t *testing.T, f *fixture) {
	made := f.bootstrap(t, "", "")
	p, err := f.Authenticate(f.ctx, made.Operator)
	require.NoError(t, err)
	for _, product := range []string{"", schemas.DefaultProduct, north} {
		list, err := f.Keys(f.ctx, product, store.ListOptions{})
		require.NoError(t, err)
		for _, k := range list.Items {
			require.NotEqual(t, p.Key, k.ID)
			require.NotEmpty(t, k.ProductID)
		}
	}
	_, err = f.Key(f.ctx, p.Key)
	requireCode(t, schemas.NotFound, err)
	requireCode(t, schemas.NotFound, f.RenameKey(f.ctx, p.Key, "x"))
	requireCode(t, schemas.NotFound, f.RevokeKey(f.ctx, p.Key))
	f.requireKey(t, made.Operator, "")
}

func keyOfNobody(t *testing.T, f *fixture) {
	for _, product := range []string{"prod_none", ""} {
		_, _, err := f.CreateKey(f.ctx, product, "ci")
		requireCode(t, schemas.NotFound, err)
	}
	_, err := f.Authenticate(f.ctx, "anything")
	var e *schemas.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, e.Message, "anything")
}
