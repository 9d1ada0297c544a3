package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// maxBody is the size from which a bulk request takes no further chunk.
const maxBody = 5 << 20

// item is one chunk of a bulk request.
type item struct {
	chunk string // the chunk's id, to name it in errors
	body  []byte // the action's line and the document's
}

// bulk writes items to an index. Those that Elasticsearch has no room for are
// sent again; one that it refuses fails them all, and is named.
func (x *Index) bulk(ctx context.Context, alias string, s scope, items []item, refresh string) error {
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && size < maxBody {
			size += len(items[n].body)
			n++
		}
		if err := x.bulkAll(ctx, alias, s, items[:n], refresh); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// bulkAll sends items in one request, and those that were not taken again.
func (x *Index) bulkAll(ctx context.Context, alias string, s scope, items []item, refresh string) error {
	left := slices.Clone(items)
	return retry(ctx, func() error {
		results, err := x.bulkOnce(ctx, alias, s, left, refresh)
		if err != nil {
			return err
		}
		var again error
		var refused []item
		for i, result := range results {
			switch {
			case result.done():
			case passingStatus(result.Status):
				refused = append(refused, left[i])
				again = fmt.Errorf("chunk %s: %w", left[i].chunk, result.failure())
			default:
				return fmt.Errorf("chunk %s: %w", left[i].chunk, result.failure())
			}
		}
		left = refused
		return again
	})
}

// bulkResult is what became of one item.
type bulkResult struct {
	Status int      `json:"status"`
	Error  *failure `json:"error"`
}

// done reports whether the chunk is in the index. A conflict says that it was
// there, which is told of what is only to be added.
func (r bulkResult) done() bool {
	return r.Status == http.StatusOK || r.Status == http.StatusCreated || r.Status == http.StatusConflict
}

func (r bulkResult) failure() error {
	f := failure{Status: r.Status}
	if r.Error != nil {
		f.Type, f.Reason = r.Error.Type, r.Error.Reason
	}
	return &f
}

func (x *Index) bulkOnce(ctx context.Context, alias string, s scope, items []item, refresh string) ([]bulkResult, error) {
	var body bytes.Buffer
	for _, it := range items {
		body.Write(it.body)
	}
	required := true
	var answer struct {
		Items []map[string]bulkResult `json:"items"`
	}
	err := x.call(ctx, esapi.BulkRequest{
		Index: alias, Routing: s.key, RequireAlias: &required, Refresh: refresh, Body: &body,
		FilterPath: []string{"items.*.status", "items.*.error.type", "items.*.error.reason"},
	}, &answer)
	if err != nil {
		return nil, err
	}
	if len(answer.Items) != len(items) {
		return nil, errors.New("the answer to a bulk request is not about all of its items")
	}
	results := make([]bulkResult, len(items))
	for i, of := range answer.Items {
		for _, result := range of {
			results[i] = result
		}
	}
	return results, nil
}
