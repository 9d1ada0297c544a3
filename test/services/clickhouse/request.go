package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// request is a statement with everything that HTTP carries beside it.
type request struct {
	sql      string
	format   string
	database string
	method   string // of compression of the answer: "", "LZ4" or "ZSTD"
	revision string // of the Native format that the client asks for
	settings map[string]string
	params   map[string]string
	// insert is set when the body is data of an INSERT and not SQL.
	insert *insert
	body   io.Reader
}

// insert is a statement without its format clause, which goes beside the data.
type insert struct{ sql, format string }

// known are the variables of a URL that are no settings of the engine.
var known = []string{
	"query", "database", "default_format", "user", "password", "quota_key", "query_id", "compress", "decompress",
	"client_protocol_version", "network_compression_method", "wait_end_of_query", "session_id", "role",
}

var (
	insertData = regexp.MustCompile(`(?is)^(\s*INSERT\s+INTO\s.*?)\s+FORMAT\s+(\w+)\s*;?\s*$`)
	insertText = regexp.MustCompile(`(?is)^(\s*INSERT\s+INTO\s.*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n(.*)$`)
	formatted  = regexp.MustCompile(`(?is)\sFORMAT\s+(\w+)\s*(?:SETTINGS\s[^;]*)?;?\s*$`)
)

func readRequest(r *http.Request) (*request, error) {
	q := r.URL.Query()
	for _, name := range []string{"session_id", "role"} {
		if q.Has(name) {
			return nil, fmt.Errorf("Code: 48. DB::Exception: %s is not served here. (NOT_IMPLEMENTED)", name) //nolint:staticcheck // ClickHouse's wording
		}
	}
	req := &request{
		format: "TabSeparated", database: q.Get("database"), revision: q.Get("client_protocol_version"),
		settings: map[string]string{}, params: map[string]string{}, body: r.Body,
	}
	for name, values := range q {
		if param, ok := strings.CutPrefix(name, "param_"); ok {
			req.params[param] = values[0]
		} else if !slices.Contains(known, name) {
			req.settings[name] = values[0]
		}
	}
	if q.Get("decompress") == "1" {
		req.body = compress.NewReader(r.Body)
	}
	if q.Get("compress") == "1" {
		req.method = strings.ToUpper(q.Get("network_compression_method"))
	}
	if f := q.Get("default_format"); f != "" {
		req.format = f
	}
	return req, req.readStatement(q.Get("query"))
}

// readStatement tells SQL from data: with an INSERT … FORMAT in the URL the
// body is data; else the body goes on where the URL ends.
func (req *request) readStatement(fromURL string) error {
	if m := insertData.FindStringSubmatch(fromURL); m != nil {
		req.insert = &insert{sql: m[1], format: m[2]}
		return nil
	}
	rest, err := io.ReadAll(req.body)
	if err != nil {
		return err
	}
	req.sql = fromURL + string(rest)
	if m := insertText.FindStringSubmatch(req.sql); m != nil && !strings.EqualFold(m[2], "Values") {
		req.insert, req.body = &insert{sql: m[1], format: m[2]}, strings.NewReader(m[3])
		return nil
	}
	if m := formatted.FindStringSubmatch(req.sql); m != nil {
		req.format = m[1]
	}
	return nil
}
