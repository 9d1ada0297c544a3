package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/schemas/schemastest"
	"runa/test/runatest"
)

// TestBadInput sends to each endpoint of openapi.yaml what it must refuse. The
// cases are made from the document, so an endpoint that is added is tested.
func TestBadInput(t *testing.T) {
	t.Parallel()
	b := newBadInput(t)
	before := b.counts()
	for _, path := range slices.Sorted(maps.Keys(b.doc.Paths.Map())) {
		item := b.doc.Paths.Value(path)
		t.Run(strings.TrimPrefix(path, "/"), func(t *testing.T) {
			b.wrongMethods(t, path)
			for method, operation := range item.Operations() {
				e := endpoint{b, t, method, path, operation}
				e.keys()
				e.ids()
				e.query()
				e.bodies()
				e.idempotencyKeys()
			}
		})
	}
	require.Equal(t, before, b.counts(), "something was written")
	metrics := b.Do(runatest.Request{Method: "GET", Path: "/metrics", Key: "none"})
	require.Contains(t, string(metrics.Body), `status="400"`)
	require.NotContains(t, string(metrics.Body), `status="5`)
	t.Logf("%d requests were refused", b.sent)
}

// badInput is a program with two products, each with one of everything.
type badInput struct {
	*runatest.Runa
	doc        *openapi3.T
	mine       client
	theirs     client
	revoked    string
	objects    map[string]map[string]string // by product, then by the path of their kind
	sent       int
	everything []string // the lists, by path
}

func newBadInput(t *testing.T) *badInput {
	t.Helper()
	r := runatest.Start(t, runatest.Options{})
	b := &badInput{Runa: r, doc: schemastest.MustLoad(t), mine: newProduct(t, r), theirs: newProduct(t, r), objects: map[string]map[string]string{}}
	for _, c := range []client{b.mine, b.theirs} {
		b.objects[c.product] = oneOfEach(c)
	}
	key := newKey(t, r, b.mine.product)
	b.revoked = key.Key
	answer := r.Do(runatest.Request{Method: "DELETE", Path: "/v1/keys/" + key.ID, Key: r.Operator})
	require.Equal(t, http.StatusOK, answer.Status)
	until(t, "the key is revoked", func() bool {
		return r.Do(runatest.Request{Method: "GET", Path: "/v1/tools", Key: b.revoked}).Status == http.StatusUnauthorized
	})
	for path, item := range b.doc.Paths.Map() {
		if item.Get != nil && !strings.Contains(path, "{") && item.Get.Parameters.GetByInAndName("query", "limit") != nil {
			b.everything = append(b.everything, path)
		}
	}
	return b
}

// oneOfEach makes one of each kind that paths with an id are about.
func oneOfEach(c client) map[string]string {
	answer := c.chat("session-of-"+c.product, "Hello?")
	made := map[string]string{
		"/v1/turns":         answer.ID,
		"/v1/conversations": answer.SessionID,
		"/v1/knowledge":     c.addSource("https://127.0.0.1:1/").ID,
		"/v1/tools":         c.addTool(map[string]any{"name": "tool", "description": "Do.", "endpoint": "https://127.0.0.1:1/", "method": "POST"}),
	}
	c.crawled(made["/v1/knowledge"])
	return made
}

// counts are the totals of all lists of both products and the operator.
func (b *badInput) counts() map[string]int {
	totals := map[string]int{}
	for _, path := range b.everything {
		keys := []string{b.mine.Key, b.theirs.Key, b.Operator}
		for i, key := range keys {
			answer, err := b.Try(runatest.Request{Method: "GET", Path: path, Key: key})
			if err != nil || answer.Status != http.StatusOK {
				continue // the operator's list, or a product's
			}
			var list struct{ Total int }
			if json.Unmarshal(answer.Body, &list) == nil {
				totals[fmt.Sprint(path, " ", i)] = list.Total
			}
		}
	}
	return totals
}

// refuse sends what must be refused.
func (b *badInput) refuse(t *testing.T, status int, code schemas.Code, req runatest.Request) (apiError, runatest.Answer) {
	t.Helper()
	b.sent++
	answer := b.For(t, "").Do(req)
	require.Equal(t, status, answer.Status, "%s %s %.300v: %s", req.Method, req.Path, req.Body, answer.Body)
	e := errorOf(t, answer)
	require.Equal(t, code, e.Code, "%s %s %.300v: %s", req.Method, req.Path, req.Body, answer.Body)
	return e, answer
}

// wrongMethods tries what the path does not have.
func (b *badInput) wrongMethods(t *testing.T, path string) {
	has := b.methods(path)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if slices.Contains(has, method) {
			continue
		}
		for _, key := range []string{b.mine.Key, b.Operator, "none"} {
			_, answer := b.refuse(t, http.StatusMethodNotAllowed, schemas.MethodNotAllowed, runatest.Request{
				Method: method, Path: strings.ReplaceAll(path, "{id}", "some"), Key: key, Body: "{}",
			})
			allowed := strings.Split(answer.Header.Get("Allow"), ", ")
			slices.Sort(allowed)
			require.Equal(t, has, allowed)
		}
	}
}

// methods are those of a path, and of the path of which it is a case, as
// /v1/knowledge/search is one of /v1/knowledge/{id}.
func (b *badInput) methods(path string) []string {
	methods := maps.Clone(b.doc.Paths.Value(path).Operations())
	if wider := b.doc.Paths.Value(path[:strings.LastIndex(path, "/")] + "/{id}"); wider != nil {
		maps.Copy(methods, wider.Operations())
	}
	return slices.Sorted(maps.Keys(methods))
}

// endpoint is one method of one path.
type endpoint struct {
	*badInput
	t            *testing.T
	method, path string
	operation    *openapi3.Operation
}

// opensWith says whose key the endpoint takes: a security scheme's name, ""
// for anybody.
func (e endpoint) opensWith() string {
	security := e.operation.Security
	if security == nil {
		security = &e.doc.Security
	}
	for _, scheme := range *security {
		for name := range scheme {
			return name
		}
	}
	return ""
}

// key is one that opens the endpoint.
func (e endpoint) key() string {
	if e.opensWith() == "operatorKey" {
		return e.Operator
	}
	return e.mine.Key
}

// kind is the path of the things that the path's id names.
func (e endpoint) kind() (string, bool) {
	kind, _, has := strings.Cut(e.path, "/{id}")
	return kind, has
}

// object is the id of a thing that is there, of a product or the operator's.
func (e endpoint) object(product string) string {
	kind, has := e.kind()
	if !has || e.opensWith() == "operatorKey" {
		return product
	}
	id := e.objects[product][kind]
	require.NotEmpty(e.t, id, "oneOfEach makes nothing of the kind %s", kind)
	return id
}

// request is one that the endpoint takes, as far as its example does.
func (e endpoint) request(id string) runatest.Request {
	req := runatest.Request{Method: e.method, Path: strings.ReplaceAll(e.path, "{id}", id), Key: e.key()}
	if e.operation.RequestBody != nil {
		req.Body = e.example()
	}
	return req
}

func (e endpoint) json() *openapi3.MediaType {
	return e.operation.RequestBody.Value.Content.Get("application/json")
}

// example is a copy of the first body that the document shows.
func (e endpoint) example() map[string]any {
	example := e.json().Example
	if names := slices.Sorted(maps.Keys(e.json().Examples)); len(names) > 0 {
		example = e.json().Examples[names[0]].Value.Value
	}
	text, err := json.Marshal(example)
	require.NoError(e.t, err)
	var body map[string]any
	require.NoError(e.t, json.Unmarshal(text, &body), "%s %s has no example", e.method, e.path)
	return body
}

// keys tries each key that does not open the endpoint.
func (e endpoint) keys() {
	opens := e.opensWith()
	if opens == "" {
		return
	}
	req := e.request(e.object(e.mine.product))
	for _, key := range []string{"none", "wrong", "runa_live_" + strings.Repeat("a", 36), e.revoked, e.mine.Key + "x", strings.ToUpper(e.mine.Key)} {
		req.Key = key
		_, answer := e.refuse(e.t, http.StatusUnauthorized, schemas.Unauthenticated, req)
		require.Equal(e.t, "Bearer", answer.Header.Get("WWW-Authenticate"))
	}
	req.Key = "none"
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + e.mine.Key, e.mine.Key} {
		req.Header = map[string]string{"Authorization": header}
		e.refuse(e.t, http.StatusUnauthorized, schemas.Unauthenticated, req)
	}
	req.Header = nil
	req.Key = map[string]string{"productKey": e.Operator, "operatorKey": e.mine.Key}[opens]
	e.refuse(e.t, http.StatusForbidden, schemas.Forbidden, req)
}

// ids tries ids of nothing and of the other product: nobody can tell one from
// the other.
func (e endpoint) ids() {
	if _, has := e.kind(); !has {
		return
	}
	for _, id := range []string{"%20", "%00", "a%2Fb", "..%2F..", "%ff", "'%20OR%201=1", strings.Repeat("x", 2000)} {
		e.refuse(e.t, http.StatusNotFound, schemas.NotFound, e.request(id))
	}
	missing := e.missing("nothing")
	if e.opensWith() == "productKey" {
		require.Equal(e.t, missing, e.missing(e.object(e.theirs.product)), "what is missing and what is not mine differ")
	}
}

// missing is the answer for an id, without what names the request and the id.
func (e endpoint) missing(id string) string {
	failure, answer := e.refuse(e.t, http.StatusNotFound, schemas.NotFound, e.request(id))
	return strings.NewReplacer(failure.RequestID, "", id, "").Replace(string(answer.Body))
}

// query tries what each parameter does not take.
func (e endpoint) query() {
	for _, p := range e.operation.Parameters {
		if p.Value.In != "query" {
			continue
		}
		for _, value := range badValues(p.Value) {
			req := e.request(e.object(e.mine.product))
			req.Path += "?" + p.Value.Name + "=" + value
			failure, _ := e.refuse(e.t, http.StatusBadRequest, schemas.InvalidRequest, req)
			require.Equal(e.t, p.Value.Name, failure.Param, req.Path)
		}
	}
}

func badValues(p *openapi3.Parameter) []string {
	s := p.Schema.Value
	switch {
	case p.Name == "cursor":
		return []string{"garbage", "aHR0cHM6Ly9oZWxw", "%00", "%ff", "bnVsbA", strings.Repeat("a", 3000)}
	case s.Type.Is("integer"):
		return []string{"x", "1.5", "9999999999999999999999", fmt.Sprint(*s.Min - 1), fmt.Sprint(*s.Max + 1), "-5", "0x10", "%00"}
	case s.Format == "date-time":
		return []string{"yesterday", "2026-03-01", "2026-13-01T00:00:00Z", "1", "%00"}
	case len(s.Enum) > 0:
		return []string{"bogus", "%00", "INDEXED"}
	}
	return nil
}

// idempotencyKeys tries keys that are none.
func (e endpoint) idempotencyKeys() {
	if e.operation.Parameters.GetByInAndName("header", "Idempotency-Key") == nil {
		return
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "schl\u00fcssel", "a\tb"} {
		req := e.request("")
		req.Header = map[string]string{"Idempotency-Key": key}
		failure, _ := e.refuse(e.t, http.StatusBadRequest, schemas.InvalidRequest, req)
		require.Equal(e.t, "Idempotency-Key", failure.Param)
	}
}
