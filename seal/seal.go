// Package seal encrypts what must not be readable at rest: the secrets of tools
// and every payload of a workflow. It uses one tink keyset (AES-256-GCM) and binds each ciphertext to the product and the
// object it belongs to, so that a copied ciphertext opens nowhere else.
//
// It is not for passwords or API keys, which are only ever hashed, and it does
// not decide what is secret: callers do.
//
// # Rotation
//
// Add a key to the keyset and make it primary (tinkey rotate-keyset, or
// add-key and promote-key), then restart. New values are sealed under the new
// primary; values sealed under an older key open for as long as that key stays
// enabled in the keyset.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrOpen says that a sealed value does not open: it was changed, it belongs
// to another product or object, or its key is no longer in the keyset. Which of
// them is not told apart, as the cipher cannot.
var ErrOpen = errors.New("sealed value does not open")

// Purposes keep values of one use from opening in another.
const (
	purposeObject  = "runa/object"
	purposePayload = "runa/payload"
)

// Sealer seals and opens values under one keyset. It is safe for concurrent
// use.
type Sealer struct {
	aead tink.AEAD
	// primary is the id of the key that seals new values. It is no secret.
	primary string
}

// newSealer makes a Sealer from a keyset whose keys must all be AEAD keys.
func newSealer(handle *keyset.Handle) (*Sealer, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("not a keyset for authenticated encryption: %w", err)
	}
	primary, err := handle.Primary()
	if err != nil {
		return nil, fmt.Errorf("no primary key: %w", err)
	}
	id := strconv.FormatUint(uint64(primary.KeyID()), 10)
	return &Sealer{aead: primitive, primary: id}, nil
}

// Seal encrypts plain for one object of one product. Sealing the same value
// twice gives two different results. It fails only if the system has no
// randomness or plain is beyond what the cipher can take (64 GB).
func (s *Sealer) Seal(plain []byte, product, object string) ([]byte, error) {
	sealed, err := s.aead.Encrypt(plain, associated(purposeObject, product, object))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal returned for the same product and object; for
// anything else it fails with ErrOpen.
func (s *Sealer) Open(sealed []byte, product, object string) ([]byte, error) {
	plain, err := s.aead.Decrypt(sealed, associated(purposeObject, product, object))
	if err != nil {
		return nil, fmt.Errorf("%w: product %s, object %s", ErrOpen, product, object)
	}
	return plain, nil
}

// associated encodes its parts so that no two lists of parts give the same
// bytes: each part stands behind its length.
func associated(parts ...string) []byte {
	var data []byte
	for _, part := range parts {
		data = binary.AppendUvarint(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}
