package crawl

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"runa/schemas"
)

// maxSegmentRepeats is how often one path segment may stand in a URL that is
// not a trap: relative links that climb nowhere grow such paths without end.
const maxSegmentRepeats = 3

// MaxVariants is how many query variants of one PathKey are worth fetching;
// sites whose filters combine freely offer more without more text.
const MaxVariants = 20

var errNotHTTP = errors.New("not an http or https URL")

// parser is safe for concurrent use.
var parser = whatwg.NewParser()

// Canonical returns the one spelling of a URL under which its page is known:
// read as a browser reads it, host in lower case, without default port,
// fragment and parameters that only track a visitor or hold a session, query
// sorted by name, dot segments resolved, percent-encoding normalised. It
// refuses what is not http or https, holds a user, or is longer than
// schemas.MaxURLLength. Canonical of a canonical URL is that URL.
func Canonical(raw string) (string, error) { return resolve(raw, "") }

// resolve is Canonical of a reference seen on the page at base; base "" is
// for a URL that stands alone.
func resolve(ref, base string) (string, error) {
	// Tracking parameters may make a URL long that is short without them; the
	// factor bounds the work, the limit itself is checked at the end.
	if len(ref) > 8*schemas.MaxURLLength {
		return "", fmt.Errorf("URL longer than %d bytes", 8*schemas.MaxURLLength)
	}
	first, err := parse(ref, base)
	if err != nil {
		return "", err
	}
	// Removing a session parameter can leave a dot segment, which the second
	// reading resolves.
	second, err := parse(assemble(first), "")
	if err != nil {
		return "", err
	}
	out := assemble(second)
	if len(out) > schemas.MaxURLLength {
		return "", fmt.Errorf("URL longer than %d bytes", schemas.MaxURLLength)
	}
	return out, nil
}

func parse(ref, base string) (*whatwg.Url, error) {
	var u *whatwg.Url
	var err error
	if base == "" {
		u, err = parser.Parse(ref)
	} else {
		u, err = parser.ParseRef(base, ref)
	}
	if err != nil {
		return nil, fmt.Errorf("read URL: %w", err)
	}
	if (u.Scheme() != "http" && u.Scheme() != "https") || strings.Trim(u.Hostname(), ".") == "" {
		return nil, errNotHTTP
	}
	if u.Username() != "" || u.Password() != "" {
		return nil, errors.New("URL holds a user or password")
	}
	return u, nil
}

func assemble(u *whatwg.Url) string {
	var b strings.Builder
	b.WriteString(u.Scheme() + "://" + hostPort(u))
	b.WriteString(cleanPath(u.Pathname()))
	if q := cleanQuery(u.Query()); q != "" {
		b.WriteString("?" + q)
	}
	return b.String()
}

// hostPort is the host without the dot that marks it as absolute, and the port
// where it is not the scheme's default.
func hostPort(u *whatwg.Url) string {
	host := strings.TrimRight(u.Hostname(), ".")
	if u.Port() != "" {
		host += ":" + u.Port()
	}
	return host
}

// cleanPath drops session parameters (";jsessionid=…") from the segments.
func cleanPath(path string) string {
	segments := strings.Split(normalEscapes(path, ""), "/")
	for i, segment := range segments {
		parts := strings.Split(segment, ";")
		kept := slices.DeleteFunc(parts[1:], func(p string) bool {
			name, _, _ := strings.Cut(p, "=")
			return isSession(strings.ToLower(name))
		})
		segments[i] = strings.Join(append(parts[:1:1], kept...), ";")
	}
	return strings.Join(segments, "/")
}

func cleanQuery(query string) string {
	pairs := strings.Split(normalEscapes(query, ""), "&")
	pairs = slices.DeleteFunc(pairs, func(p string) bool {
		name := strings.ToLower(pairName(p))
		return p == "" || isTracking(name) || isSession(name)
	})
	// Stable, because the order of values under one name may mean something.
	slices.SortStableFunc(pairs, func(a, b string) int { return strings.Compare(pairName(a), pairName(b)) })
	return strings.Join(pairs, "&")
}

func pairName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return name
}

func isTracking(name string) bool {
	switch name {
	case "gclid", "gclsrc", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "yclid", "twclid", "ttclid",
		"igshid", "mc_cid", "mc_eid", "_ga", "_gl", "_hsenc", "_hsmi", "mkt_tok":
		return true
	}
	return strings.HasPrefix(name, "utm_")
}

func isSession(name string) bool {
	switch name {
	case "jsessionid", "phpsessid", "sid", "sessionid", "session_id", "cfid", "cftoken":
		return true
	}
	return strings.HasPrefix(name, "aspsessionid")
}

const upperHex = "0123456789ABCDEF"

// normalEscapes writes a percent-encoded text in its one form: escapes of
// unreserved characters decoded, other escapes in upper case, bytes outside
// ASCII and those of also escaped. It changes no meaning (RFC 3986, 6.2.2).
func normalEscapes(s, also string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := c == '%' && i+2 < len(s) && unhex(s[i+1]) < 16 && unhex(s[i+2]) < 16
		if escaped {
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		if unreserved(c) || (!escaped && c > ' ' && c < 0x7f && strings.IndexByte(also, c) < 0) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// unhex is the value of a hexadecimal digit, 16 for any other byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// Trap reports whether a canonical URL is one that only a trap makes: a path
// segment more than three times, or no canonical URL at all.
func Trap(canonical string) bool {
	u, err := parse(canonical, "")
	if err != nil || len(canonical) > schemas.MaxURLLength {
		return true
	}
	seen := map[string]int{}
	for segment := range strings.SplitSeq(u.Pathname(), "/") {
		if segment == "" {
			continue
		}
		if seen[segment]++; seen[segment] > maxSegmentRepeats {
			return true
		}
	}
	return false
}

// PathKey is a canonical URL without its scheme and query: URLs of one key are
// variants of one page, of which MaxVariants are worth fetching.
func PathKey(canonical string) string {
	key, _, _ := strings.Cut(canonical, "?")
	if _, rest, ok := strings.Cut(key, "://"); ok {
		return rest
	}
	return key
}
