package schemas

import "time"

// Time is a moment as the API writes it: RFC 3339, UTC, whole seconds.
type Time time.Time

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"` + time.RFC3339 + `"`)), nil
}

// UnmarshalJSON implements json.Unmarshaler; null changes nothing.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	parsed, err := time.Parse(`"`+time.RFC3339+`"`, string(data))
	*t = Time(parsed)
	return err
}

// Millis returns the moment as a store keeps it: milliseconds since 1970 UTC.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// FromMillis is the inverse of Millis.
func FromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
