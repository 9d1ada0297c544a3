package activities

import (
	"context"
	"time"

	"runa/schemas"
	"runa/search"
	"runa/store"
)

const (
	// retrieveTimeout bounds a search: a turn goes on without knowledge rather
	// than wait for an index that is away.
	retrieveTimeout = time.Second
	// retrieveLimit is the number of passages that a prompt holds.
	retrieveLimit = 8
	// overfetch makes up for matches that the records rule out.
	overfetch = 3
)

// Retriever finds knowledge as the agent sees it: the index proposes, the
// records decide what is alive.
type Retriever struct {
	Store *store.Store
	Index search.Index
}

// Search returns the best passages for a question, in the sources that are
// named or, with none named, in all of the product's.
func (r *Retriever) Search(ctx context.Context, product string, req schemas.SearchRequest) ([]schemas.Hit, error) {
	sources, err := r.Store.LiveSources(ctx, product, req.SourceIDs)
	if err != nil || len(sources) == 0 {
		return []schemas.Hit{}, err
	}
	matches, err := r.Index.Search(ctx, product, search.Query{Text: req.Query, Sources: sources, Limit: min(req.Limit*overfetch, 200)})
	if err != nil {
		return nil, err
	}
	refs := make([]store.DocumentRef, len(matches))
	for i, m := range matches {
		refs[i] = store.DocumentRef{Source: m.SourceID, Document: m.DocumentID, Version: m.Version}
	}
	live, err := r.Store.Live(ctx, product, refs)
	if err != nil {
		return nil, err
	}
	return hits(matches, live, req.Limit), nil
}

func hits(matches []search.Match, live []bool, limit int) []schemas.Hit {
	found := []schemas.Hit{}
	for i, m := range matches {
		if live[i] && len(found) < limit {
			found = append(found, schemas.Hit{
				SourceID: m.SourceID, DocumentID: m.DocumentID, URL: m.URL,
				Title: m.Title, Heading: m.Heading, Text: m.Text, Score: m.Score,
			})
		}
	}
	return found
}
