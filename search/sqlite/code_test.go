package sqlite

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A code is near enough to its vector, whatever the vector's size.
func TestCode(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{1, 3, 4, 48, 384} {
		for _, size := range []float64{1e-6, 1, 1e6} {
			a, b := make([]float32, length), make([]float32, length)
			for i := range a {
				a[i] = float32(size * random.NormFloat64())
				b[i] = a[i] + float32(size*random.NormFloat64())
			}
			require.InDelta(t, cosine(a, b), nearness(newCode(a), newCode(b)), 0.01, "%d values", length)
			require.InDelta(t, 1, nearness(newCode(a), newCode(a)), 0.01)
			require.Equal(t, a, unpack(pack(a)))
		}
	}
}

func BenchmarkNearness(b *testing.B) {
	values := make([]float32, 384)
	for i := range values {
		values[i] = float32(i%7 - 3)
	}
	code := newCode(values)
	b.SetBytes(int64(len(values)))
	for b.Loop() {
		nearness(code, code)
	}
}
