package provider_test

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP collector that keeps what it gets.
type collector struct {
	*httptest.Server
	// answer is the status of every answer.
	answer int

	mu    sync.Mutex
	spans []*tracepb.Span
	// raw is all that was sent, as it was sent.
	raw      []byte
	resource map[string]string
}

func newCollector(t *testing.T, answer int) *collector {
	t.Helper()
	c := &collector{answer: answer}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.take(t, r)
		w.WriteHeader(c.answer)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(t *testing.T, r *http.Request) {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			t.Error(err)
			return
		}
	}
	text, err := io.ReadAll(body)
	var request coltracepb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		t.Errorf("%s: %v", r.URL.Path, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, text...)
	for _, resource := range request.GetResourceSpans() {
		c.resource = attributes(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[kv.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		default:
			all[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return all
}

// trace are the spans of a trace, by id.
type trace map[string]*tracepb.Span

// of returns the spans of a trace. Each has an id of its own.
func (c *collector) of(t *testing.T, id string) trace {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	found := trace{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) == id {
			found[string(s.GetSpanId())] = s
		}
	}
	return found
}

// named returns the one span of a name.
func (tr trace) named(t *testing.T, name string) *tracepb.Span {
	t.Helper()
	var found []*tracepb.Span
	for _, s := range tr {
		if s.GetName() == name {
			found = append(found, s)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

// path are the names from the trace's beginning to a span.
func (tr trace) path(s *tracepb.Span) []string {
	var path []string
	for ; s != nil; s = tr[string(s.GetParentSpanId())] {
		path = append([]string{s.GetName()}, path...)
	}
	return path
}
