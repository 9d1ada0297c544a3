package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"regexp"
	"strings"
)

// DefaultProduct is made at the first start.
const DefaultProduct = "prod_default"

// Product is a SaaS product: the owner of everything else. Nothing of one
// product is ever seen by another.
type Product struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt Time   `json:"createdAt"`
}

// ValidateProductName refuses a name that a list could not show.
func ValidateProductName(name string) error {
	return validateName(name)
}

func validateName(name string) error {
	if strings.TrimSpace(name) == "" || len(name) > 200 || !validText(name) {
		return Invalid("name", "name must be 1 to 200 bytes of UTF-8")
	}
	return nil
}

// ValidateKeyName refuses a name that a list could not show.
func ValidateKeyName(name string) error { return validateName(name) }

var productID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ValidateProductID refuses what cannot name a product.
func ValidateProductID(id string) error {
	if !productID.MatchString(id) {
		return Invalid("id", "id must be 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	return nil
}

// Key is an API key as lists show it; the key itself is shown once.
type Key struct {
	ID        string `json:"id"`
	ProductID string `json:"productId"`
	Name      string `json:"name"`
	// Hint is the last four characters.
	Hint      string `json:"hint"`
	CreatedAt Time   `json:"createdAt"`
	RevokedAt *Time  `json:"revokedAt"`
}

// Prefixes of keys.
const (
	LiveKeyPrefix     = "runa_live_"
	OperatorKeyPrefix = "runa_op_"
	// MinSetKey is the least length of a key that the operator chooses.
	MinSetKey = 32
)

// NewKey makes a key: the prefix, 30 random base62 digits and 6 of their
// CRC-32, so that a secret scanner can tell a real key from a look-alike
// without asking anyone (the form that GitHub's tokens introduced).
func NewKey(prefix string) string {
	body := prefix + RandomBase62(30)
	return body + keyChecksum(body)
}

// WellFormedKey reports whether a key ends in the checksum of the rest.
func WellFormedKey(key string) bool {
	if len(key) < 36 {
		return false
	}
	body, sum := key[:len(key)-6], key[len(key)-6:]
	return keyChecksum(body) == sum
}

func keyChecksum(body string) string {
	n := crc32.ChecksumIEEE([]byte(body))
	out := make([]byte, 6)
	for i := 5; i >= 0; i-- {
		out[i] = base62Digits[n%62]
		n /= 62
	}
	return string(out)
}

// HashKey is what is kept of a key. A key has some 178 random bits, so a plain
// SHA-256 cannot be searched.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
