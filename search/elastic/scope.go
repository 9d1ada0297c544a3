package elastic

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"runa/schemas"
	"runa/search"
)

// scope is what separates a product from others in the shared index. Queries
// are made by its methods only, so none goes out without it.
type scope struct {
	key string
}

// scopeOf returns a product's scope. The name may be any text; its hash may be
// part of a word, a query and an id.
func scopeOf(product string) scope {
	sum := sha256.Sum256([]byte(product))
	return scope{hex.EncodeToString(sum[:16])}
}

// prefixLength is how much of the key stands before each word. Should two
// products have the same, the filter keeps them apart all the same.
const prefixLength = 12

// term is a word as it is indexed for the product.
func (s scope) term(word string) string { return s.key[:prefixLength] + word }

// terms are the words of a chunk, those of a field as often as the field
// weighs: the frequency of a word is then what the scores count. Beside them is
// the chunk's length in words, one more than it has, as FTS5 counts it with the
// word of its source.
func (s scope) terms(c *schemas.Chunk) (text string, length int) {
	var b strings.Builder
	add := func(field string, weight int) {
		words := search.Words(field)
		length += len(words)
		for range weight {
			for _, word := range words {
				b.WriteString(s.term(word))
				b.WriteByte(' ')
			}
		}
	}
	add(c.Title, search.TitleWeight)
	add(c.Heading, search.HeadingWeight)
	add(c.Text, search.TextWeight)
	return b.String(), length + 1
}

// documentID is the chunk's id among those of all products.
func (s scope) documentID(chunk string) string {
	sum := sha256.Sum256([]byte(s.key + chunk))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// maxTerms is how many values Elasticsearch takes in one filter.
const maxTerms = 65_536

// filter finds chunks of the product alone, those to which all of the clauses
// apply.
func (s scope) filter(clauses ...clause) clause {
	return clause{"bool": clause{"filter": append([]clause{{"term": clause{"scope": s.key}}}, clauses...)}}
}

// clause is a part of a query in Elasticsearch's language.
type clause map[string]any
