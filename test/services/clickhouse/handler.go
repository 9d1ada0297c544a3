package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// hello is what clickhouse-go asks first.
const hello = "SELECT displayName(), version(), revision(), timezone()"

const displayName = "local engine"

// handler answers each request on a session of its own, so that no setting of
// one request is seen by another.
type handler struct {
	engine         *engine
	dir            string
	user, password string
	version        string
	keep           *conn // holds the engine between requests
	opening        sync.Mutex
}

func newHandler(e *engine, dir, user, password string) (*handler, error) {
	h := &handler{engine: e, dir: dir, user: user, password: password}
	var err error
	if h.keep, err = h.open(); err != nil {
		return nil, err
	}
	version, err := h.keep.run("SELECT version()", "TSVRaw", nil)
	h.version = strings.TrimSpace(string(version))
	return h, err
}

func (h *handler) close() { h.keep.close() }

func (h *handler) open() (*conn, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	return h.engine.open(h.dir)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && (r.URL.Path == "/ping" || r.URL.RawQuery == "") {
		_, _ = io.WriteString(w, "Ok.\n")
		return
	}
	id := r.URL.Query().Get("query_id")
	if id == "" {
		id = rand.Text()
	}
	w.Header().Set("X-ClickHouse-Query-Id", id)
	w.Header().Set("X-ClickHouse-Timezone", "UTC")
	err := h.authenticate(r)
	if err == nil {
		err = h.serve(w, r)
	}
	if err != nil {
		h.fail(w, err)
	}
}

func (h *handler) authenticate(r *http.Request) error {
	user, password, ok := r.BasicAuth()
	if !ok {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	}
	if q := r.URL.Query(); user == "" && q.Has("user") {
		user, password = q.Get("user"), q.Get("password")
	}
	if user == "" {
		user = "default"
	}
	if user != h.user || subtle.ConstantTimeCompare([]byte(password), []byte(h.password)) != 1 {
		return fmt.Errorf("Code: 516. DB::Exception: %s: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)", user) //nolint:staticcheck // ClickHouse's wording
	}
	return nil
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	req, err := readRequest(r)
	if err != nil {
		return err
	}
	c, err := h.open()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.prepare(req); err != nil {
		return err
	}
	if req.insert != nil {
		return c.load(req.insert.sql, req.insert.format, req.params, req.body)
	}
	answer, err := h.answer(r.Context(), c, req)
	if err != nil {
		return err
	}
	return send(w, req, answer)
}

// prepare gives the session the request's database and settings. readonly
// comes last, because it forbids further settings.
func (c *conn) prepare(req *request) error {
	if req.database != "" && req.database != "default" {
		if _, err := c.run("USE "+identifier(req.database), "Null", nil); err != nil {
			return err
		}
	}
	var set []string
	for _, name := range slices.Sorted(maps.Keys(req.settings)) {
		if name != "readonly" {
			set = append(set, identifier(name)+" = "+quote(req.settings[name]))
		}
	}
	if v, ok := req.settings["readonly"]; ok {
		set = append(set, "readonly = "+quote(v))
	}
	if len(set) == 0 {
		return nil
	}
	_, err := c.run("SET "+strings.Join(set, ", "), "Null", nil)
	return err
}

// answer runs the statement and ends it when the client goes.
func (h *handler) answer(ctx context.Context, c *conn, req *request) ([]byte, error) {
	if req.revision != "" && strings.TrimSpace(req.sql) == hello {
		return h.greet(req.revision)
	}
	mark := "/* request " + rand.Text() + " */ "
	done := context.AfterFunc(ctx, func() { h.kill(mark) })
	defer done()
	answer, err := c.run(mark+req.sql, req.format, req.params)
	if err == nil && len(answer) == 0 && req.format == "Native" {
		return c.columns(req), nil
	}
	return answer, err
}

func (h *handler) kill(mark string) {
	c, err := h.open()
	if err != nil {
		return
	}
	defer c.close()
	_, _ = c.run("KILL QUERY WHERE query LIKE "+quote(mark+"%")+" ASYNC", "Null", nil)
}

// greet tells the client to read every later block at revision 0, which is
// what the engine writes. This one block is at the client's own revision.
func (h *handler) greet(revision string) ([]byte, error) {
	rev, err := strconv.Atoi(revision)
	if err != nil {
		return nil, err
	}
	text := func(s string) *proto.ColStr {
		c := new(proto.ColStr)
		c.Append(s)
		return c
	}
	var buf proto.Buffer
	proto.BlockInfo{BucketNum: -1}.Encode(&buf)
	err = proto.Block{Columns: 4, Rows: 1}.EncodeRawBlock(&buf, rev, []proto.InputColumn{
		{Name: "displayName()", Data: text(displayName)},
		{Name: "version()", Data: text(h.version)},
		{Name: "revision()", Data: &proto.ColUInt32{0}},
		{Name: "timezone()", Data: text("UTC")},
	})
	return buf.Buf, err
}

// columns is a block without rows, which a server sends and the engine leaves
// out; nothing for a statement that has no columns.
func (c *conn) columns(req *request) []byte {
	table, err := c.run("DESCRIBE ("+strings.TrimRight(req.sql, "; \t\r\n")+"\n)", "TSVRaw", req.params)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(table), "\n"), "\n")
	var buf proto.Buffer
	buf.PutUVarInt(uint64(len(lines)))
	buf.PutUVarInt(0)
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, "\t")
		kind, _, _ := strings.Cut(rest, "\t")
		buf.PutString(name)
		buf.PutString(kind)
	}
	return buf.Buf
}

func send(w http.ResponseWriter, req *request, answer []byte) error {
	w.Header().Set("X-ClickHouse-Format", req.format)
	if req.method == "" || len(answer) == 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
		return nil
	}
	method := compress.LZ4
	if req.method == "ZSTD" {
		method = compress.ZSTD
	}
	out := compress.NewWriter(compress.LevelZero, method)
	for part := range slices.Chunk(answer, 1<<20) {
		if err := out.Compress(part); err != nil {
			return err
		}
		if _, err := w.Write(out.Data); err != nil {
			return nil // the client is gone
		}
	}
	return nil
}

var exception = regexp.MustCompile(`Code: (\d+)\.`)

func (h *handler) fail(w http.ResponseWriter, err error) {
	text, code := err.Error(), 1002
	if m := exception.FindStringSubmatchIndex(text); m != nil {
		code, _ = strconv.Atoi(text[m[2]:m[3]])
		text = text[m[0]:]
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	w.WriteHeader(status(code))
	_, _ = fmt.Fprintf(w, "%s (version %s (%s))\n", text, h.version, displayName)
}

// status is the HTTP status that ClickHouse gives an exception.
func status(code int) int {
	switch code {
	case 193, 194, 516: // wrong, required, failed
		return http.StatusUnauthorized
	case 164, 291, 497: // readonly, database and access denied
		return http.StatusForbidden
	case 46, 60, 81, 115: // function, table, database, setting
		return http.StatusNotFound
	case 26, 27, 38, 41, 43, 47, 53, 62, 70, 72, 386, 457: // text and types that do not parse
		return http.StatusBadRequest
	case 48:
		return http.StatusNotImplemented
	case 159:
		return http.StatusRequestTimeout
	}
	return http.StatusInternalServerError
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func identifier(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
