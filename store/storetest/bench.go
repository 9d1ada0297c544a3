package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

// sessionTurns is how many turns a session of the benchmark has.
const sessionTurns = 10

// BenchmarkTurn times all that a plain turn writes: draft, open, claim, step,
// close; one turn after the other, and turns of different sessions at once.
func BenchmarkTurn(b *testing.B, open func(b *testing.B) *store.Store) {
	b.Helper()
	b.Run("alone", func(b *testing.B) {
		s := prepare(b, open)
		for i := 0; b.Loop(); i++ {
			require.NoError(b, plainTurn(b, s, i/sessionTurns, i))
		}
	})
	b.Run("at once", func(b *testing.B) {
		s := prepare(b, open)
		var workers atomic.Int64
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			worker := int(workers.Add(1)) << 32
			for i := worker; pb.Next(); i++ {
				if err := plainTurn(b, s, i/sessionTurns, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func prepare(b *testing.B, open func(b *testing.B) *store.Store) *store.Store {
	b.Helper()
	s := open(b)
	b.Cleanup(func() { _ = s.Close() })
	_, err := s.CreateProduct(b.Context(), north, "North")
	require.NoError(b, err)
	return s
}

func plainTurn(b *testing.B, s *store.Store, session, i int) error {
	ctx, turn := b.Context(), fmt.Sprint("msg_", i)
	in, err := newDraft(ctx, s, fmt.Sprint("sess_", session), turn, "What does the Pro plan cost per month?")
	if err != nil {
		return err
	}
	if _, err := s.OpenTurn(ctx, in); err != nil {
		return err
	}
	claim, err := s.ClaimStep(ctx, north, turn, 1, &store.Retrieval{})
	if err != nil {
		return err
	}
	if _, err := s.StoreStep(ctx, north, turn, 1, claim.Claim, store.StepOutcome{Text: "Ten euros."}, nil); err != nil {
		return err
	}
	_, err = s.CloseTurn(ctx, north, turn, store.Closing{Status: schemas.TurnCompleted})
	return err
}
