package store

import (
	"context"
	"database/sql"
	"errors"
)

// ErrKeyset says that what the database holds was sealed under another keyset.
var ErrKeyset = errors.New("the database was made with another keyset: restore that keyset; without it, the secrets of tools are lost")

// sealOf names the text by which a keyset is known; it belongs to no product.
const sealOf = "keyset"

// checkSeal refuses a keyset that cannot open what is kept here. Going on with
// it would fail much later, in the middle of a turn.
func (s *Store) checkSeal(ctx context.Context) error {
	sealed, err := readSeal(s.reader().row(ctx, selectSeal))
	if err == nil && sealed == nil {
		sealed, err = s.makeSeal(ctx)
	}
	if err != nil {
		return err
	}
	if _, err := s.sealer.Open(sealed, "", sealOf); err != nil {
		return ErrKeyset
	}
	return nil
}

const selectSeal = `SELECT text FROM seal`

// readSeal is nil when there is none.
func readSeal(row scanner) (sealed []byte, err error) {
	if err = row.Scan(&sealed); errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return sealed, err
}

// makeSeal seals the text under the keyset, or returns what another process
// has just sealed.
func (s *Store) makeSeal(ctx context.Context) (sealed []byte, err error) {
	mine, err := s.sealer.Seal([]byte(sealOf), "", sealOf)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(t *tx) error {
		if err := t.alone(ctx); err != nil {
			return err
		}
		if sealed, err = readSeal(t.row(ctx, selectSeal)); err != nil || sealed != nil {
			return err
		}
		sealed = mine
		_, err := t.exec(ctx, `INSERT INTO seal (text) VALUES (?)`, sealed)
		return err
	})
	return sealed, err
}
