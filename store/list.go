package store

import (
	"encoding/base64"
	"fmt"

	"runa/schemas"
)

// ListOptions ask for one page of a list.
type ListOptions struct {
	Limit int
	// Cursor is the Next of the page before; "" starts at the top.
	Cursor string
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
	var p place
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%d %s", &p.at, &p.id)
	}
	if err != nil {
		return place{}, schemas.Invalid("cursor", "cursor is not one that this list gave")
	}
	return p, nil
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
