package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/bits"
	"slices"
	"strings"

	"runa/schemas"
)

// TurnRef names a turn that a caller waits for.
type TurnRef struct {
	Product, Turn string
	// Draft is set while the caller does not know whether the turn was taken.
	Draft string
}

// TurnState is what a waiting caller needs to know.
type TurnState struct {
	Status  schemas.TurnStatus // "" while the row is not there
	Version int64
	Refusal *schemas.Error
}

// pair is the value of a key of two columns, such as product and id.
type pair [2]string

// TurnStates reads where turns stand, in the order of the refs: one query for
// all the callers of a process.
func (s *Store) TurnStates(ctx context.Context, refs []TurnRef) ([]TurnState, error) {
	turns := make([]pair, len(refs))
	for i, ref := range refs {
		turns[i] = pair{ref.Product, ref.Turn}
	}
	found, err := s.turnStates(ctx, turns)
	if err != nil {
		return nil, err
	}
	var drafts []pair
	for _, ref := range refs {
		if _, ok := found[pair{ref.Product, ref.Turn}]; !ok && ref.Draft != "" {
			drafts = append(drafts, pair{ref.Product, ref.Draft})
		}
	}
	refusals, err := s.refusals(ctx, drafts)
	if err != nil {
		return nil, err
	}
	states := make([]TurnState, len(refs))
	for i, ref := range refs {
		states[i] = found[turns[i]]
		if states[i].Status == "" {
			states[i].Refusal = refusals[pair{ref.Product, ref.Draft}]
		}
	}
	return states, nil
}

func (s *Store) turnStates(ctx context.Context, turns []pair) (map[pair]TurnState, error) {
	found := make(map[pair]TurnState, len(turns))
	err := s.eachPair(ctx, `SELECT product, id, status, version FROM turns`, turns, func(rows *sql.Rows) error {
		var key pair
		var state TurnState
		err := rows.Scan(&key[0], &key[1], &state.Status, &state.Version)
		found[key] = state
		return err
	})
	return found, err
}

func (s *Store) refusals(ctx context.Context, drafts []pair) (map[pair]*schemas.Error, error) {
	found := map[pair]*schemas.Error{}
	err := s.eachPair(ctx, `SELECT product, id, refusal FROM drafts`, drafts, func(rows *sql.Rows) error {
		var key pair
		var text sql.NullString
		if err := rows.Scan(&key[0], &key[1], &text); err != nil || !text.Valid {
			return err
		}
		refusal := &schemas.Error{}
		found[key] = refusal
		return json.Unmarshal([]byte(text.String), refusal)
	})
	return found, err
}

// maxPairs is how many pairs one statement may name: databases bound the
// number of parameters, the strictest at 32,766.
const maxPairs = 1 << 13

// eachPair runs a query for the rows with these keys.
func (s *Store) eachPair(ctx context.Context, query string, keys []pair, scan func(*sql.Rows) error) error {
	for chunk := range slices.Chunk(keys, maxPairs) {
		values, args := rowValues(chunk)
		rows, err := s.reader().query(ctx, query+` WHERE (product, id) IN (VALUES `+values+`)`, args...)
		_, err = collect(rows, err, func(rows *sql.Rows) (struct{}, error) { return struct{}{}, scan(rows) })
		if err != nil {
			return err
		}
	}
	return nil
}

// rowValues are pairs as a list of values, at least one. Such a list is one
// look-up in a key for each; a chain of ORs would be a tree deeper than SQLite
// allows.
func rowValues(pairs []pair) (values string, args []any) {
	args = make([]any, 0, 4*len(pairs))
	for _, p := range pairs {
		args = append(args, p[0], p[1])
	}
	// Few texts for many lengths: each text is kept prepared.
	size := 1 << bits.Len(uint(len(pairs)-1))
	for range size - len(pairs) {
		args = append(args, pairs[0][0], pairs[0][1])
	}
	return strings.TrimSuffix(strings.Repeat("(?, ?), ", size), ", "), args
}
