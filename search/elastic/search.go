package elastic

import (
	"context"
	"math"
	"slices"
	"strconv"

	"runa/search"
)

// Search implements search.Index. It sends a request to count and one to find.
func (x *Index) Search(ctx context.Context, product string, q search.Query) ([]search.Match, error) {
	if err := q.Vector.Validate(); err != nil {
		return nil, wrap("search", err)
	}
	if len(q.Sources) == 0 || q.Limit < 1 {
		return []search.Match{}, ctx.Err()
	}
	s, question := scopeOf(product), search.ParseQuestion(q.Text)
	c := &counts{}
	if len(question.Words) > 0 {
		var err error
		if c, err = x.count(ctx, s, question.Words); err != nil {
			return nil, wrap("search", err)
		}
	}
	matches, err := x.find(ctx, s, question, c, q)
	if err != nil {
		return nil, wrap("search", err)
	}
	return search.Best(matches, q.Limit), nil
}

// find returns the best chunks: by single words, then rescored, and by vector.
func (x *Index) find(ctx context.Context, s scope, question search.Question, c *counts, q search.Query) ([]search.Match, error) {
	want := max(search.MinCandidates, 2*q.Limit)
	sources := []clause{anySource(q.Sources)}
	var queries []*query
	words := s.weighted(question.Words, c)
	if len(words) > 0 {
		// Elasticsearch's order is not quite ours.
		queries = append(queries, &query{filter: sources, should: words, size: want + want/5})
	}
	if q.Vector != nil {
		queries = append(queries, &query{filter: sources, vector: q.Vector, size: want})
	}
	if len(queries) == 0 {
		return []search.Match{}, ctx.Err()
	}
	answers, err := x.search(ctx, s, queries...)
	if err != nil {
		return nil, err
	}
	var lexical []search.Match
	if len(words) > 0 {
		lexical = rank(answers[0].matches(), question, c, want)
	}
	if q.Vector == nil {
		return lexical, nil
	}
	return search.Fuse(lexical, answers[len(answers)-1].matches()), nil
}

// rank scores the candidates as FTS5 would and adds the pairs to the best of
// them.
func rank(matches []search.Match, question search.Question, c *counts, want int) []search.Match {
	for i := range matches {
		matches[i].Score = c.score(&matches[i].Chunk, question.Words)
	}
	matches = search.Best(matches, want)
	search.Rescore(matches, question, nil)
	return matches
}

// count counts the product's chunks and those of them that have each word.
func (x *Index) count(ctx context.Context, s scope, words []string) (*counts, error) {
	filters := clause{}
	for i, word := range words {
		filters[strconv.Itoa(i)] = clause{"term": clause{"words": s.term(word)}}
	}
	answers, err := x.search(ctx, s, &query{everyone: true}, &query{counts: clause{
		"length": clause{"sum": clause{"field": "length"}},
		"words":  clause{"filters": clause{"filters": filters}},
	}})
	if err != nil {
		return nil, err
	}
	everyone, got := answers[0].Hits.Total.Value, answers[1]
	c := &counts{
		everyone: float64(everyone),
		chunks:   float64(got.Hits.Total.Value),
		length:   got.Counts.Length.Value / float64(max(1, got.Hits.Total.Value)),
		having:   map[string]float64{},
	}
	for i, word := range words {
		c.having[word] = got.Counts.Words.Buckets[strconv.Itoa(i)].Count
	}
	return c, nil
}

// weighted are the words with what they count. Elasticsearch reckons a word's
// rarity among the chunks of all products; the boost takes that out again.
func (s scope) weighted(words []string, c *counts) []clause {
	// The two were counted by two questions, between which an index may have
	// taken another's place.
	everyone := max(c.everyone, c.chunks)
	var list []clause
	for _, word := range words {
		n := c.having[word]
		if n == 0 {
			continue
		}
		theirs := math.Log(1 + (everyone-n+0.5)/(n+0.5))
		list = append(list, clause{"term": clause{"words": clause{
			"value": s.term(word), "boost": c.rarity(word) / theirs,
		}}})
	}
	return list
}

// anySource finds chunks of one of the sources.
func anySource(sources []string) clause {
	var any []clause
	for some := range slices.Chunk(sources, maxTerms) {
		any = append(any, clause{"terms": clause{"sourceId": some}})
	}
	return clause{"bool": clause{"should": any}}
}
