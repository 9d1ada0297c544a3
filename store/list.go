package store

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"runa/schemas"
)

// ListOptions ask for one page of a list.
type ListOptions struct {
	// Limit is the most items of the page; 0 is DefaultLimit.
	Limit int
	// Cursor is the Next of the page before; "" starts at the top.
	Cursor string
}

// DefaultLimit is the length of a page that asked for none.
const DefaultLimit = 50

func (o ListOptions) limit() int {
	if o.Limit <= 0 {
		return DefaultLimit
	}
	return o.Limit
}

// List is one page of a list.
type List[T any] struct {
	Items []T
	// Next is the cursor of the next page, "" on the last one.
	Next string
	// Total counts the whole list.
	Total int
}

// place is where a page of a list begins: after this row.
type place struct {
	at int64
	id string
}

func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", p.at, p.id))
}

func parseCursor(cursor string, top place) (place, error) {
	if cursor == "" {
		return top, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, found := strings.Cut(string(raw), " ")
	ms, errAt := strconv.ParseInt(at, 10, 64)
	if err != nil || errAt != nil || !found {
		return place{}, schemas.Invalid("cursor", "cursor is not one that this list gave")
	}
	return place{ms, id}, nil
}

// page cuts items, of which one more than the limit was read, to a page.
func page[T any](items []T, limit, total int, where func(T) place) List[T] {
	list := List[T]{Items: items, Total: total}
	if len(items) > limit {
		list.Items = items[:limit]
		list.Next = where(items[limit-1]).cursor()
	}
	return list
}

// Bounds of a cursor: before and after every row.
var (
	first = place{at: -1}
	last  = place{at: 1 << 62}
)
