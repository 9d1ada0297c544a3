package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"runa/schemas"
	"runa/search"
)

// query is one search of a product's chunks: how many there are, and the first
// of them.
type query struct {
	filter []clause
	// should gives the score; a chunk to which none applies is not found.
	should []clause
	vector *search.Vector // finds by nearness, instead of should
	size   int
	counts clause // aggregations
	// everyone counts the chunks of all products and shows nothing of them;
	// the rest is ignored.
	everyone bool
}

// body writes a query of the product's.
func (s scope) body(q *query) clause {
	if q.everyone {
		return clause{"query": clause{"match_all": clause{}}, "size": 0, "track_total_hits": true}
	}
	found := s.filter(q.filter...)
	if len(q.should) > 0 {
		of := found["bool"].(clause)
		of["should"], of["minimum_should_match"] = q.should, 1
	}
	body := clause{"query": found, "size": q.size}
	if q.vector != nil {
		delete(body, "query")
		body["knn"] = s.near(q)
	}
	if q.size == 0 {
		body["track_total_hits"] = true
	} else {
		body["sort"] = []clause{{"_score": "desc"}, {"id": "asc"}}
		body["track_total_hits"] = false
	}
	if q.counts != nil {
		body["aggs"] = q.counts
	}
	return body
}

// matches are what was found, with the scores of Elasticsearch.
func (a *answer) matches() []search.Match {
	matches := make([]search.Match, len(a.Hits.Hits))
	for i, hit := range a.Hits.Hits {
		matches[i] = search.Match{Chunk: hit.Source, Score: hit.Score}
	}
	return matches
}

// answer is what comes back for a query.
type answer struct {
	Status   int      `json:"status"`
	Error    *failure `json:"error"`
	TimedOut bool     `json:"timed_out"`
	Shards   shards   `json:"_shards"`
	Hits     struct {
		Total struct {
			Value int `json:"value"`
		} `json:"total"`
		Hits []struct {
			Score  float64       `json:"_score"`
			Source schemas.Chunk `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
	Counts struct {
		Length struct {
			Value float64 `json:"value"`
		} `json:"length"`
		Words struct {
			Buckets map[string]struct {
				Count float64 `json:"doc_count"`
			} `json:"buckets"`
		} `json:"words"`
	} `json:"aggregations"`
}

type shards struct {
	Total  int `json:"total"`
	Failed int `json:"failed"`
}

// errTimedOut says that Elasticsearch has stopped before it was done.
var errTimedOut = errors.New("elasticsearch ran out of time")

// check returns an error unless the answer is a whole one: part of it would
// pass for all.
func (a *answer) check() error {
	switch {
	case a.Error != nil:
		a.Error.Status = a.Status
		return a.Error
	case a.TimedOut:
		return errTimedOut
	}
	return a.Shards.check()
}

func (s shards) check() error {
	if s.Total == 0 || s.Failed > 0 {
		return fmt.Errorf("%d of %d shards have failed", s.Failed, s.Total)
	}
	return nil
}

// search asks the current generation.
func (x *Index) search(ctx context.Context, s scope, queries ...*query) ([]answer, error) {
	return x.searchIn(ctx, x.alias(), s, queries...)
}

// searchIn sends queries in one request and returns an answer to each.
func (x *Index) searchIn(ctx context.Context, alias string, s scope, queries ...*query) ([]answer, error) {
	timeout := x.cfg.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	var body bytes.Buffer
	for _, q := range queries {
		body.Write(encode(clause{"index": alias, "routing": s.key, "allow_partial_search_results": false}).Bytes())
		lines := s.body(q)
		lines["timeout"] = fmt.Sprintf("%dms", timeout.Milliseconds())
		body.Write(encode(lines).Bytes())
	}
	var result struct {
		Responses []answer `json:"responses"`
	}
	if err := x.call(ctx, esapi.MsearchRequest{Body: &body}, &result); err != nil {
		return nil, err
	}
	if len(result.Responses) != len(queries) {
		return nil, errors.New("the answer to a search is not about all of its queries")
	}
	for i := range result.Responses {
		if err := result.Responses[i].check(); err != nil {
			return nil, err
		}
	}
	return result.Responses, nil
}
