package elastic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"runa/search"
)

// vectorField is the field of a vector's space: Elasticsearch compares only
// vectors of one field, and wants to know their length.
func vectorField(v *search.Vector) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", len(v.Values), v.Space))
	return "vector_" + hex.EncodeToString(sum[:10])
}

// ensureFields adds to an index the fields of the entries' vectors.
func (x *Index) ensureFields(ctx context.Context, t target, entries []search.Entry) error {
	for i := range entries {
		if entries[i].Vector == nil {
			continue
		}
		if err := x.ensureField(ctx, t, entries[i].Vector); err != nil {
			return fmt.Errorf("chunk %s: %w", entries[i].ID, err)
		}
	}
	return nil
}

// ensureField adds a field unless this process knows that the index has it.
func (x *Index) ensureField(ctx context.Context, t target, v *search.Vector) error {
	field := vectorField(v)
	key := t.index + "/" + field
	if _, known := x.fields.Load(key); known {
		return nil
	}
	body := clause{
		"_meta": clause{"version": mappingVersion},
		"properties": clause{field: clause{
			"type": "dense_vector", "dims": len(v.Values), "similarity": "cosine",
			"index_options": clause{"type": "int8_hnsw"},
		}},
	}
	err := retry(ctx, func() error {
		return x.change(ctx, esapi.IndicesPutMappingRequest{Index: []string{t.alias}, Body: encode(body)})
	})
	if err == nil {
		x.fields.Store(key, true)
		x.cfg.Logger.InfoContext(ctx, "search vectors of a new space", "index", t.index, "space", v.Space, "field", field)
	}
	return err
}

// A nearest neighbour's search looks at more than it returns: the graph of
// quantised vectors misses some otherwise.
const (
	lookedAt   = 5 // times as many candidates of the graph
	oversample = 3 // times as many compared exactly
)

// near writes a search for the nearest vectors of the product's chunks.
func (s scope) near(q *query) clause {
	return clause{
		"field": vectorField(q.vector), "query_vector": q.vector.Values, "k": q.size, "num_candidates": lookedAt * q.size,
		"filter": s.filter(q.filter...), "rescore_vector": clause{"oversample": oversample},
	}
}
