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

// pair is the key of a product's row.
type pair struct{ product, id string }

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
		err := rows.Scan(&key.product, &key.id, &state.Status, &state.Version)
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
		if err := rows.Scan(&key.product, &key.id, &text); err != nil || !text.Valid {
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

// eachPair runs a query for the rows with these keys. A list of values is one
// look-up in the primary key for each; a chain of ORs would be a tree deeper
// than SQLite allows.
func (s *Store) eachPair(ctx context.Context, query string, keys []pair, scan func(*sql.Rows) error) error {
	for chunk := range slices.Chunk(keys, maxPairs) {
		args := make([]any, 0, 4*len(chunk))
		for _, key := range chunk {
			args = append(args, key.product, key.id)
		}
		// Few texts for many lengths: each text is kept prepared.
		size := 1 << bits.Len(uint(len(chunk)-1))
		for range size - len(chunk) {
			args = append(args, chunk[0].product, chunk[0].id)
		}
		values := strings.TrimSuffix(strings.Repeat("(?, ?), ", size), ", ")
		rows, err := s.reader().query(ctx, query+` WHERE (product, id) IN (VALUES `+values+`)`, args...)
		_, err = collect(rows, err, func(rows *sql.Rows) (struct{}, error) { return struct{}{}, scan(rows) })
		if err != nil {
			return err
		}
	}
	return nil
}
