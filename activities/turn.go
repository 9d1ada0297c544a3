package activities

import (
	"context"

	"runa/analytics"
	"runa/schemas"
	"runa/store"
)

// OpenTurn accepts the turn; see store.OpenTurn. Run again, it answers from
// the rows.
func (a *Activities) OpenTurn(ctx context.Context, in schemas.TurnInput) (store.Opened, error) {
	opened, err := a.config.Store.OpenTurn(ctx, in)
	if err != nil {
		return opened, engineError(err)
	}
	a.config.Fail("turn opened")
	a.config.Changed(in.Turn)
	return opened, nil
}

// TurnKey names a turn.
type TurnKey struct {
	Product string `json:"product"`
	Turn    string `json:"turn"`
}

// ClaimPlace says where a queued turn stands, taking its place in the session
// if it has come. Run again, it says the same.
func (a *Activities) ClaimPlace(ctx context.Context, in TurnKey) (schemas.TurnStatus, error) {
	status, err := a.config.Store.ClaimPlace(ctx, in.Product, in.Turn)
	if err != nil {
		return "", engineError(err)
	}
	a.config.Changed(in.Turn)
	return status, nil
}

// CloseTurnInput is how a turn ends.
type CloseTurnInput struct {
	TurnKey
	Status schemas.TurnStatus `json:"status"`
	Error  *schemas.Error     `json:"error,omitempty"`
}

// CloseTurn ends the turn and returns the turn that holds the session's place
// now, "" for none. Run again, it changes nothing and returns the same.
func (a *Activities) CloseTurn(ctx context.Context, in CloseTurnInput) (next string, err error) {
	next, err = a.config.Store.CloseTurn(ctx, in.Product, in.Turn, store.Closing{
		Status: in.Status, Error: in.Error, Intent: analytics.Intent,
	})
	if err != nil {
		return "", engineError(err)
	}
	a.config.Fail("turn closed")
	a.config.Changed(in.Turn)
	a.ended(ctx, in.TurnKey)
	return next, nil
}
