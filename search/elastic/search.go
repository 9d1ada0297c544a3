package elastic

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"runa/search"
)

// Search implements search.Index.
func (x *Index) Search(ctx context.Context, product string, q search.Query) ([]search.Match, error) {
	question := search.ParseQuestion(q.Text)
	if len(q.Sources) == 0 || len(question.Words) == 0 || q.Limit < 1 {
		return []search.Match{}, ctx.Err()
	}
	matches, err := x.lexical(ctx, scopeOf(product), question, q)
	if err != nil {
		return nil, fmt.Errorf("search/elastic: search: %w", err)
	}
	return search.Best(matches, q.Limit), nil
}

// lexical returns the best chunks by single words, then rescored.
func (x *Index) lexical(ctx context.Context, s scope, question search.Question, q search.Query) ([]search.Match, error) {
	c, err := x.count(ctx, s, question.Words)
	words := s.weighted(question.Words, c)
	if err != nil || len(words) == 0 {
		return []search.Match{}, err
	}
	want := max(search.MinCandidates, 2*q.Limit)
	answers, err := x.search(ctx, s, &query{
		filter: []clause{anySource(q.Sources)},
		should: words,
		size:   want + want/2, // Elasticsearch's order is not quite ours
	})
	if err != nil {
		return nil, err
	}
	matches := make([]search.Match, len(answers[0].Hits.Hits))
	for i, hit := range answers[0].Hits.Hits {
		matches[i] = search.Match{Chunk: hit.Source, Score: c.score(&hit.Source, question.Words)}
	}
	matches = search.Best(matches, want)
	search.Rescore(matches, question, nil)
	return matches, nil
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
		return &counts{}, err
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
	var list []clause
	for _, word := range words {
		n := c.having[word]
		if n == 0 {
			continue
		}
		theirs := math.Log(1 + (c.everyone-n+0.5)/(n+0.5))
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
