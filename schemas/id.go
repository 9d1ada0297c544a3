package schemas

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/oklog/ulid/v2"
)

// Prefixes of the ids.
const (
	ProductPrefix = "prod_"
	KeyPrefix     = "key_"
	SessionPrefix = "sess_"
	TurnPrefix    = "msg_"
	SourcePrefix  = "ks_"
	ToolPrefix    = "tool_"
	CallPrefix    = "call_"
	RequestPrefix = "req_"
	RebuildPrefix = "idx_"
)

// NewID returns a fresh id: the prefix and a ULID, so ids of one kind sort by
// the time they were made.
func NewID(prefix string) string {
	return prefix + strings.ToLower(ulid.Make().String())
}

// TurnID returns the id of the turn that a product's Idempotency-Key stands
// for: the same key gives the same id for ever, on every process.
func TurnID(product, idempotencyKey string) string {
	mac := hmac.New(sha256.New, []byte(product))
	mac.Write([]byte(idempotencyKey))
	return TurnPrefix + base62(mac.Sum(nil)[:16])
}

// CallID returns the id of the index-th call (from 0) that a step asked for.
// It is a function of the place in the turn, never of what a model calls it,
// so a repeated attempt finds the same call.
func CallID(turn string, step, index int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", turn, step, index))
	return CallPrefix + base62(sum[:16])
}

// BodyHash is the fingerprint by which two requests under one Idempotency-Key
// are compared.
func BodyHash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

var sessionID = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

// ValidateSessionID refuses what cannot name a conversation.
func ValidateSessionID(id string) error {
	if !sessionID.MatchString(id) {
		return Invalid("sessionId", "sessionId must be 1 to 128 characters of A-Z a-z 0-9 _ . : -")
	}
	return nil
}

// RandomBase62 returns n random base62 digits.
func RandomBase62(n int) string {
	var b strings.Builder
	for range n {
		d, err := rand.Int(rand.Reader, big.NewInt(62))
		if err != nil {
			panic(err) // crypto/rand never fails on a supported system
		}
		b.WriteByte(base62Digits[d.Int64()])
	}
	return b.String()
}

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// base62 writes data as a base62 number of fixed width.
func base62(data []byte) string {
	n := new(big.Int).SetBytes(data)
	width := (len(data)*8*1000 + 5953) / 5954 // log2(62) = 5.954
	out := make([]byte, width)
	rem := new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, big.NewInt(62), rem)
		out[i] = base62Digits[rem.Int64()]
	}
	return string(out)
}
