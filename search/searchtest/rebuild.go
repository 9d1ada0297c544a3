package searchtest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// Rebuilt is an index that can be rebuilt.
type Rebuilt interface {
	search.Index
	search.Rebuilder
}

// RunRebuild holds an index to search.Rebuilder. open gives an empty index, of
// which no other test has the use; again gives the same index as another
// process would have it, or nil where a process has it to itself.
func RunRebuild(t *testing.T, open func(t *testing.T) Rebuilt, again func(t *testing.T, x Rebuilt) Rebuilt) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, x, other Rebuilt){
		"answers stay, then are the new ones": rebuildAnswers,
		"one at a time":                       rebuildAlone,
		"repeated calls":                      rebuildRepeated,
		"abort":                               rebuildAborted,
		"vectors":                             rebuildVectors,
		"concurrent use":                      rebuildInUse,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := open(t)
			other := again(t, x)
			if other == nil {
				other = x
			}
			test(t, x, other)
		})
	}
}

func entries(chunks ...schemas.Chunk) []search.Entry { return search.Entries(chunks) }

func rebuildAnswers(t *testing.T, x, other Rebuilt) {
	kept, gone := chunk("a", "kept", 0, "apples"), chunk("a", "gone", 0, "apples and pears")
	put(t, x, north, kept, gone, chunk("a", "deleted", 0, "apples"))
	put(t, x, south, chunk("a", "kept", 0, "apples"))
	before := find(t, x, north, "apples", "a")
	require.NoError(t, x.StartRebuild(t.Context(), "r1"))
	require.NoError(t, x.Fill(t.Context(), "r1", north, entries(kept, chunk("a", "deleted", 0, "apples"))))
	require.NoError(t, x.Fill(t.Context(), "r1", south, entries(chunk("a", "kept", 0, "apples"))))
	require.Equal(t, before, find(t, other, north, "apples", "a"), "a rebuild moves no answer")

	put(t, other, north, chunk("a", "new", 0, "new apples"))
	require.NoError(t, other.Delete(t.Context(), north, search.Selection{Source: "a", Document: "deleted"}))
	require.Len(t, find(t, x, north, "apples", "a"), 3)
	require.NoError(t, x.Fill(t.Context(), "r1", north, entries(chunk("a", "new", 0, "old apples"), chunk("b", "stale", 0, "apples"))))
	require.NoError(t, x.DeleteNext(t.Context(), "r1", north, search.Selection{Source: "b"}))
	require.Len(t, find(t, x, north, "apples", "a"), 3)

	require.NoError(t, x.FinishRebuild(t.Context(), "r1"))
	for _, index := range []Rebuilt{x, other} {
		require.ElementsMatch(t, []string{kept.ID, "a/new/1/000"}, ids(find(t, index, north, "apples", "a", "b")))
		require.Len(t, find(t, index, north, "new", "a"), 1, "what was put is newer than what was filled in")
		require.Equal(t, 2, count(t, index, north, search.Selection{Source: "a"}))
		require.Zero(t, count(t, index, north, search.Selection{Source: "b"}))
		require.Equal(t, 1, count(t, index, south, search.Selection{Source: "a"}))
		put(t, index, north, chunk("a", "later", 0, "apples"))
		require.NoError(t, index.Delete(t.Context(), north, search.Selection{Source: "a", Document: "later"}))
	}
}

func rebuildAlone(t *testing.T, x, other Rebuilt) {
	ctx := t.Context()
	require.ErrorIs(t, x.Fill(ctx, "r1", north, entries(chunk("a", "one", 0, "apples"))), search.ErrRebuild)
	require.ErrorIs(t, x.DeleteNext(ctx, "r1", north, search.Selection{Source: "a"}), search.ErrRebuild)
	require.ErrorIs(t, x.FinishRebuild(ctx, "r1"), search.ErrRebuild)
	require.NoError(t, x.AbortRebuild(ctx, "r1"))
	require.NoError(t, x.StartRebuild(ctx, "r1"))
	require.NoError(t, x.Fill(ctx, "r1", north, entries(chunk("a", "given up", 0, "apples"))))
	require.NoError(t, other.StartRebuild(ctx, "r2"), "one that nobody ended stands in nobody's way")
	require.ErrorIs(t, x.Fill(ctx, "r1", north, entries(chunk("a", "one", 0, "apples"))), search.ErrRebuild)
	require.ErrorIs(t, x.FinishRebuild(ctx, "r1"), search.ErrRebuild)
	require.NoError(t, x.AbortRebuild(ctx, "r1"))
	require.NoError(t, x.Fill(ctx, "r2", north, entries(chunk("a", "one", 0, "apples"))), "any process may go on")
	require.NoError(t, x.FinishRebuild(ctx, "r2"))
	require.Equal(t, []string{"a/one/1/000"}, ids(find(t, x, north, "apples", "a")))
	require.ErrorIs(t, x.StartRebuild(ctx, "r2"), search.ErrRebuild, "what is finished does not begin again")
	require.NoError(t, x.StartRebuild(ctx, "r3"))
	require.NoError(t, x.FinishRebuild(ctx, "r3"))
	require.Zero(t, count(t, x, north, search.Selection{Source: "a"}), "nothing was filled in")
}

func rebuildRepeated(t *testing.T, x, other Rebuilt) {
	put(t, x, north, chunk("a", "gone", 0, "apples"))
	for range 2 {
		require.NoError(t, x.StartRebuild(t.Context(), "r1"))
		require.NoError(t, x.Fill(t.Context(), "r1", north, entries(chunk("a", "one", 0, "apples"))))
		require.NoError(t, other.Fill(t.Context(), "r1", north, nil))
		require.NoError(t, other.DeleteNext(t.Context(), "r1", north, search.Selection{Source: "b"}))
	}
	for range 2 {
		require.NoError(t, x.FinishRebuild(t.Context(), "r1"))
		require.NoError(t, other.FinishRebuild(t.Context(), "r1"))
	}
	require.Equal(t, []string{"a/one/1/000"}, ids(find(t, x, north, "apples", "a")))
	require.NoError(t, x.AbortRebuild(t.Context(), "r1"))
	require.Equal(t, []string{"a/one/1/000"}, ids(find(t, x, north, "apples", "a")))
}

func rebuildAborted(t *testing.T, x, other Rebuilt) {
	put(t, x, north, chunk("a", "one", 0, "apples"), chunk("a", "two", 0, "apples"))
	require.NoError(t, x.StartRebuild(t.Context(), "r1"))
	require.NoError(t, x.Fill(t.Context(), "r1", north, entries(chunk("a", "one", 0, "apples"))))
	put(t, other, north, chunk("a", "three", 0, "apples"))
	for range 2 {
		require.NoError(t, other.AbortRebuild(t.Context(), "r1"))
	}
	require.ErrorIs(t, x.FinishRebuild(t.Context(), "r1"), search.ErrRebuild)
	require.Len(t, find(t, x, north, "apples", "a"), 3)
	require.NoError(t, x.StartRebuild(t.Context(), "r1"), "it may begin anew")
	require.NoError(t, x.FinishRebuild(t.Context(), "r1"))
	require.Empty(t, find(t, x, north, "apples", "a"))
}

func rebuildVectors(t *testing.T, x, other Rebuilt) {
	require.NoError(t, x.StartRebuild(t.Context(), "r1"))
	require.NoError(t, x.Fill(t.Context(), "r1", north, []search.Entry{entry("a", "filled", "apples", direction("m", 10))}))
	require.NoError(t, other.Put(t.Context(), north, []search.Entry{entry("a", "put", "apples", direction("m", 20))}))
	require.Error(t, x.Fill(t.Context(), "r1", north, []search.Entry{entry("a", "bad", "apples", direction("", 0))}))
	require.NoError(t, x.FinishRebuild(t.Context(), "r1"))
	found := ask(t, other, north, search.Query{Vector: direction("m", 0), Sources: []string{"a"}})
	require.Equal(t, []string{"a/filled/1/000", "a/put/1/000"}, ids(found))
	require.NoError(t, other.Put(t.Context(), north, []search.Entry{entry("a", "later", "apples", direction("n", 0))}))
	require.Len(t, ask(t, x, north, search.Query{Vector: direction("n", 0), Sources: []string{"a"}}), 1)
}

// rebuildInUse writes, deletes and searches while a rebuild begins, fills and
// ends.
func rebuildInUse(t *testing.T, x, other Rebuilt) {
	put(t, x, north, chunk("kept", "one", 0, "apples"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const writers = 4
	errs := make(chan error, writers)
	rounds := make([]atomic.Int64, writers)
	for w := range writers {
		index := []Rebuilt{x, other}[w%2]
		go func() { errs <- useUntil(ctx, t.Context(), index, fmt.Sprintf("s%d", w), &rounds[w]) }()
	}
	for r := range 2 {
		id := fmt.Sprintf("r%d", r)
		require.NoError(t, x.StartRebuild(t.Context(), id))
		awaitRounds(t, rounds) // what was put before would have to be filled in
		require.NoError(t, x.Fill(t.Context(), id, north, entries(chunk("kept", "one", 0, "apples"))))
		require.NoError(t, x.Fill(t.Context(), id, north, entries(
			chunk("s0", "base", 0, "apples"), chunk("s1", "base", 0, "apples"), chunk("s2", "base", 0, "apples"), chunk("s3", "base", 0, "apples"),
		)))
		require.NoError(t, x.FinishRebuild(t.Context(), id))
	}
	stop()
	for range writers {
		require.NoError(t, <-errs)
	}
	for w := range writers {
		require.Equal(t, 2, count(t, x, north, search.Selection{Source: fmt.Sprintf("s%d", w)}), "round %d", rounds[w].Load())
		require.Len(t, find(t, other, north, "apples", fmt.Sprintf("s%d", w)), 2)
	}
	require.Len(t, find(t, x, north, "apples", "kept"), 1)
}

// awaitRounds waits until each writer has begun and ended a round.
func awaitRounds(t *testing.T, rounds []atomic.Int64) {
	t.Helper()
	for i := range rounds {
		until := rounds[i].Load() + 2
		require.Eventually(t, func() bool { return rounds[i].Load() >= until }, 30*time.Second, 5*time.Millisecond)
	}
}

// useUntil puts a new version, deletes the old ones and looks for the new one,
// until until ends.
func useUntil(until, ctx context.Context, x Rebuilt, source string, rounds *atomic.Int64) error {
	for until.Err() == nil || rounds.Load() == 0 {
		round := rounds.Add(1)
		last := versioned(source, "one", round, 0, "apples")
		if err := x.Put(ctx, north, entries(last, chunk(source, "base", 0, "apples"))); err != nil {
			return err
		}
		if err := x.Delete(ctx, north, search.Selection{Source: source, Document: "one", KeepVersion: last.Version}); err != nil {
			return err
		}
		found, err := x.Search(ctx, north, search.Query{Text: "apples", Sources: []string{source, "kept"}, Limit: 10})
		if err != nil {
			return err
		}
		if have := ids(found); !slices.Contains(have, last.ID) || !slices.Contains(have, "kept/one/1/000") {
			return fmt.Errorf("round %d of %s found %v", round, source, have)
		}
	}
	return nil
}
