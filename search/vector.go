package search

import (
	"errors"
	"fmt"
	"math"

	"runa/schemas"
)

// Entry is a chunk as it is put into an index.
type Entry struct {
	schemas.Chunk
	// Vector of the chunk's text; nil where there is no embedder.
	Vector *Vector
}

// Entries are chunks without vectors.
func Entries(chunks []schemas.Chunk) []Entry {
	entries := make([]Entry, len(chunks))
	for i := range chunks {
		entries[i].Chunk = chunks[i]
	}
	return entries
}

// Vector is what an embedder makes of a text: near texts have a small angle
// between them.
type Vector struct {
	// Space names the embedder, its model and whatever else decides on the
	// values. Vectors of different spaces or lengths are never compared.
	Space string
	// Values are 1 to 4,096 finite numbers, not all of them zero.
	Values []float32
}

// maxValues is what Elasticsearch takes.
const maxValues = 4096

// Validate reports what is wrong with the vector; nil is right.
func (v *Vector) Validate() error {
	if v == nil {
		return nil
	}
	if v.Space == "" {
		return errors.New("a vector without a space")
	}
	if len(v.Values) == 0 || len(v.Values) > maxValues {
		return fmt.Errorf("a vector of %d values", len(v.Values))
	}
	var square float64
	for _, value := range v.Values {
		square += float64(value) * float64(value)
	}
	// Too small a vector would have no direction in the arithmetic of float32.
	if math.IsNaN(square) || square > math.MaxFloat32 || square < 1e-30 {
		return errors.New("a vector without a direction")
	}
	return nil
}

// ValidateEntries returns the first entry's error.
func ValidateEntries(entries []Entry) error {
	for i := range entries {
		if err := entries[i].Vector.Validate(); err != nil {
			return fmt.Errorf("chunk %s: %w", entries[i].ID, err)
		}
	}
	return nil
}
