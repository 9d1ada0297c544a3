package crawl

import (
	"fmt"
	"path"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// Scope is the part of the web that a source covers: one host and port, http
// and https alike and with or without "www.", which sites redirect to one
// another, at and below one path. The zero Scope holds nothing.
type Scope struct {
	host   string
	prefix string // without a slash at its end; "" is the whole host
}

// NewScope returns the scope of the site at root: its path and all below it,
// or, where the path ends in a file name, the folder that the file is in.
func NewScope(root string) (Scope, error) {
	canonical, err := Canonical(root)
	if err != nil {
		return Scope{}, fmt.Errorf("scope of %q: %w", root, err)
	}
	u, err := parse(canonical, "")
	if err != nil {
		return Scope{}, fmt.Errorf("scope of %q: %w", root, err)
	}
	prefix := u.Pathname()
	if isFileName(path.Base(prefix)) && !strings.HasSuffix(prefix, "/") {
		prefix = path.Dir(prefix)
	}
	return Scope{host: siteOf(u), prefix: strings.TrimRight(prefix, "/")}, nil
}

// siteOf is the host and port that one site answers at.
func siteOf(u *whatwg.Url) string { return strings.TrimPrefix(hostPort(u), "www.") }

// isFileName tells "index.html" from a folder such as "v1.2".
func isFileName(segment string) bool {
	ext := strings.TrimPrefix(path.Ext(segment), ".")
	return ext != "" && strings.Trim(ext[:1], "0123456789") != ""
}

// Contains reports whether a URL lies in the scope.
func (s Scope) Contains(rawURL string) bool {
	canonical, err := Canonical(rawURL)
	if err != nil || s.host == "" {
		return false
	}
	u, err := parse(canonical, "")
	if err != nil || siteOf(u) != s.host {
		return false
	}
	rest, below := strings.CutPrefix(u.Pathname(), s.prefix)
	return below && (rest == "" || rest[0] == '/')
}
