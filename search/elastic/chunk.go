package elastic

import (
	"bytes"
	"context"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"runa/schemas"
	"runa/search"
)

// document is a chunk as it is indexed; see mapping.json.
type document struct {
	schemas.Chunk
	Product string `json:"product"` // for an operator who looks
	Scope   string `json:"scope"`
	Words   string `json:"words"`
	Length  int    `json:"length"`
}

// Put implements search.Index.
func (x *Index) Put(ctx context.Context, product string, chunks []search.Entry) error {
	if len(chunks) == 0 {
		return ctx.Err()
	}
	if err := search.ValidateEntries(chunks); err != nil {
		return wrap("put", err)
	}
	s := scopeOf(product)
	items := make([]item, len(chunks))
	for i := range chunks {
		items[i] = newItem("index", product, s, &chunks[i])
	}
	return wrap("put", x.write(ctx, func(t target) error {
		if err := x.ensureFields(ctx, t, chunks); err != nil {
			return err
		}
		return x.bulk(ctx, t.alias, s, items, "wait_for")
	}))
}

// newItem makes the lines of a bulk request for a chunk.
func newItem(action, product string, s scope, c *search.Entry) item {
	words, length := s.terms(&c.Chunk)
	body := encode(clause{action: clause{"_id": s.documentID(c.ID)}})
	body.Write(encode(document{Chunk: c.Chunk, Product: product, Scope: s.key, Words: words, Length: length}).Bytes())
	if c.Vector != nil {
		body.Truncate(body.Len() - len("}\n")) // the field's name is not one that a struct could have
		_, _ = fmt.Fprintf(body, `,%q:%s}`+"\n", vectorField(c.Vector), bytes.TrimSpace(encode(c.Vector.Values).Bytes()))
	}
	return item{c.ID, body.Bytes()}
}

// deleteBatch is how many chunks one request deletes, so that none takes long.
const deleteBatch = 5000

// Delete implements search.Index. What is deleted by a query is what was
// refreshed before, and what nobody changed meanwhile: it goes on until there
// is nothing.
func (x *Index) Delete(ctx context.Context, product string, which search.Selection) error {
	s := scopeOf(product)
	return wrap("delete", x.write(ctx, func(t target) error { return x.deleteIn(ctx, t.alias, s, which) }))
}

func (x *Index) deleteIn(ctx context.Context, alias string, s scope, which search.Selection) error {
	for {
		n, err := x.countIn(ctx, alias, s, which)
		if err != nil || n == 0 {
			return err
		}
		if err := x.deleteSome(ctx, alias, s, which); err != nil {
			return err
		}
	}
}

func (x *Index) deleteSome(ctx context.Context, alias string, s scope, which search.Selection) error {
	most, yes := deleteBatch, true
	return retry(ctx, func() error {
		var answer struct {
			TimedOut bool `json:"timed_out"`
			Failures []struct {
				Status int     `json:"status"`
				Cause  failure `json:"cause"`
			} `json:"failures"`
		}
		err := x.call(ctx, esapi.DeleteByQueryRequest{
			Index: []string{alias}, Routing: []string{s.key}, Conflicts: "proceed", MaxDocs: &most,
			Refresh: &yes, WaitForCompletion: &yes, Body: encode(clause{"query": s.selection(which)}),
		}, &answer)
		switch {
		case err != nil:
			return err
		case len(answer.Failures) > 0:
			first := answer.Failures[0]
			first.Cause.Status = first.Status
			return &first.Cause
		case answer.TimedOut:
			return errTimedOut
		}
		return nil
	})
}

// Count implements search.Index.
func (x *Index) Count(ctx context.Context, product string, which search.Selection) (int, error) {
	n, err := x.countIn(ctx, x.alias(), scopeOf(product), which)
	return n, wrap("count", err)
}

// countIn counts what is there, also what was written a moment ago.
func (x *Index) countIn(ctx context.Context, alias string, s scope, which search.Selection) (n int, err error) {
	err = retry(ctx, func() error {
		if err := x.refresh(ctx, alias); err != nil {
			return err
		}
		answers, err := x.searchIn(ctx, alias, s, &query{filter: []clause{selection(which)}})
		if err == nil {
			n = answers[0].Hits.Total.Value
		}
		return err
	})
	return n, err
}

// refresh makes all that was written visible to searches.
func (x *Index) refresh(ctx context.Context, alias string) error {
	var answer struct {
		Shards shards `json:"_shards"`
	}
	if err := x.call(ctx, esapi.IndicesRefreshRequest{Index: []string{alias}}, &answer); err != nil {
		return err
	}
	return answer.Shards.check()
}

// selection is the query for the chunks of a selection.
func (s scope) selection(which search.Selection) clause { return s.filter(selection(which)) }

func selection(which search.Selection) clause {
	must := []clause{{"term": clause{"sourceId": which.Source}}}
	if which.Document != "" {
		must = append(must, clause{"term": clause{"documentId": which.Document}})
	}
	if which.Version != 0 {
		must = append(must, clause{"term": clause{"version": which.Version}})
	}
	not := []clause{}
	if which.KeepVersion != 0 {
		not = append(not, clause{"term": clause{"version": which.KeepVersion}})
	}
	return clause{"bool": clause{"filter": must, "must_not": not}}
}
