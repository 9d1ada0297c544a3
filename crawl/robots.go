package crawl

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// robotsToken is the product token that groups of robots.txt are matched with.
const robotsToken = "runa"

const (
	// maxRobotsBytes is what of a robots.txt is read: RFC 9309 asks for at
	// least 500 KiB, and what follows is ignored.
	maxRobotsBytes = 500 << 10
	// maxCrawlDelay bounds the pause that a host can ask for, so that a crawl
	// of it still ends.
	maxCrawlDelay = 60 * time.Second
	// maxRobotsSitemaps bounds the sitemaps that one robots.txt can name.
	maxRobotsSitemaps = 50
)

// Robots says what a host allows, by RFC 9309. The zero Robots allows all.
//
// It has a parser of its own because temoto/robotstxt, the one in common use,
// finds wildcard rules anywhere in a path, refuses a whole file for one bad
// line, ranks rules by the length of their regular expression and takes the
// group of any agent whose name begins ours.
type Robots struct {
	unavailable bool
	rules       []rule
	delay       time.Duration
	sitemaps    []string
}

// rule is one Allow or Disallow line.
type rule struct {
	allow bool
	// parts are the pieces between the wildcards, the first of which stands at
	// the start of the path.
	parts []string
	// end is set where the last part must end the path.
	end    bool
	length int
}

// ParseRobots reads the answer to a request for robots.txt. A status of 4xx,
// or a redirect that led nowhere, allows all; 429, 5xx and 0 (no answer) make
// it unavailable.
func ParseRobots(status int, body []byte) Robots {
	switch {
	case status >= 200 && status < 300:
		return parseRobots(body)
	case status >= 300 && status < 500 && status != http.StatusTooManyRequests:
		return Robots{}
	}
	return Robots{unavailable: true}
}

// Unavailable reports that the host could not say what it allows: nothing is
// allowed for now, and the caller asks again later.
func (r Robots) Unavailable() bool { return r.unavailable }

// CrawlDelay is the pause between two requests that the host asks for, at
// most a minute; 0 where it asks for none.
func (r Robots) CrawlDelay() time.Duration { return r.delay }

// Sitemaps are the canonical URLs of the sitemaps that robots.txt names.
func (r Robots) Sitemaps() []string { return r.sitemaps }

// Allowed reports whether a URL of the host may be fetched.
func (r Robots) Allowed(rawURL string) bool {
	if r.unavailable {
		return false
	}
	u, err := parse(rawURL, "")
	if err != nil {
		return false
	}
	target := u.Pathname()
	if target == "/robots.txt" {
		return true
	}
	if u.Query() != "" {
		target += "?" + u.Query()
	}
	return r.allowedPath(normalEscapes(target, "*$"))
}

// allowedPath follows the longest rule that matches, and Allow among equals.
func (r Robots) allowedPath(target string) bool {
	allow, longest := true, -1
	for _, rule := range r.rules {
		if rule.length < longest || (rule.length == longest && allow) || !rule.matches(target) {
			continue
		}
		allow, longest = rule.allow, rule.length
	}
	return allow
}

// matches finds each part at the first place after the one before it, which
// finds a match whenever there is one, in time linear in the path.
func (r rule) matches(target string) bool {
	rest, ok := strings.CutPrefix(target, r.parts[0])
	if !ok {
		return false
	}
	if len(r.parts) == 1 {
		return !r.end || rest == ""
	}
	last := len(r.parts) - 1
	for _, part := range r.parts[1:last] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	if r.end {
		return strings.HasSuffix(rest, r.parts[last])
	}
	return strings.Contains(rest, r.parts[last])
}

// newRule reads the value of an Allow or Disallow line; an empty one is no
// rule.
func newRule(allow bool, value string) (rule, bool) {
	if value == "" {
		return rule{}, false
	}
	pattern, end := strings.CutSuffix(value, "$")
	if !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*") {
		pattern = "/" + pattern
	}
	r := rule{allow: allow, end: end}
	for i, part := range strings.Split(pattern, "*") {
		if part == "" && i > 0 && i < strings.Count(pattern, "*") {
			continue // two wildcards in a row are one
		}
		r.parts = append(r.parts, normalEscapes(part, "*$"))
	}
	r.length = len(r.parts) - 1 + len(strings.Join(r.parts, ""))
	if end {
		r.length++
	}
	return r, true
}

// robotsGroup gathers the groups of one agent, which may stand in pieces.
type robotsGroup struct {
	found bool
	rules []rule
	delay time.Duration
}

// robotsReader is the state of reading a robots.txt line by line.
type robotsReader struct {
	own, others robotsGroup
	sitemaps    []string
	// forOwn and forOthers say whose group the current line is in.
	forOwn, forOthers bool
	// naming is set while user-agent lines follow each other.
	naming bool
}

func parseRobots(body []byte) Robots {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(body, []byte("<")) {
		return Robots{} // a web page, which many servers give for any address
	}
	if len(body) > maxRobotsBytes {
		// The cut may shorten the last line to a rule that nobody wrote.
		body = body[:maxRobotsBytes]
		body = body[:bytes.LastIndexAny(body, "\r\n")+1]
	}
	var r robotsReader
	for _, line := range bytes.FieldsFunc(body, func(c rune) bool { return c == '\n' || c == '\r' }) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok {
			r.line(strings.ToLower(string(bytes.TrimSpace(key))), string(bytes.TrimSpace(value)))
		}
	}
	group := r.others
	if r.own.found {
		group = r.own
	}
	return Robots{rules: group.rules, delay: group.delay, sitemaps: r.sitemaps}
}

func (r *robotsReader) line(key, value string) {
	switch key {
	case "user-agent", "useragent":
		r.agent(value)
	case "allow", "disallow":
		r.naming = false
		if rule, ok := newRule(key == "allow", value); ok {
			r.each(func(g *robotsGroup) { g.rules = append(g.rules, rule) })
		}
	case "crawl-delay":
		r.naming = false
		if delay, ok := crawlDelay(value); ok {
			r.each(func(g *robotsGroup) { g.delay = delay })
		}
	case "sitemap":
		if u, err := Canonical(value); err == nil && len(r.sitemaps) < maxRobotsSitemaps {
			r.sitemaps = append(r.sitemaps, u)
		}
	}
}

func (r *robotsReader) agent(name string) {
	if !r.naming {
		r.forOwn, r.forOthers, r.naming = false, false, true
	}
	product := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return c == '/' || c == ' ' })
	switch {
	case len(product) == 0:
	case product[0] == "*":
		r.forOthers, r.others.found = true, true
	case product[0] == robotsToken:
		r.forOwn, r.own.found = true, true
	}
}

func (r *robotsReader) each(change func(*robotsGroup)) {
	if r.forOwn {
		change(&r.own)
	}
	if r.forOthers {
		change(&r.others)
	}
}

func crawlDelay(value string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		return 0, false
	}
	return time.Duration(min(seconds, maxCrawlDelay.Seconds()) * float64(time.Second)), true
}
