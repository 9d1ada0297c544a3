package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// failure is an answer of Elasticsearch that is not the one wanted.
type failure struct {
	Status int
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// ErrRefused is the error of a server that does not let this process in, by its
// user and password or key.
var ErrRefused = errors.New("the user, its password or its rights are not those that Elasticsearch asks for")

// Is says which failures are an ErrRefused.
func (f *failure) Is(target error) bool {
	return target == ErrRefused && (f.Status == http.StatusUnauthorized || f.Type == "security_exception")
}

// maxReason bounds what a log line may carry of a reason.
const maxReason = 200

func (f *failure) Error() string {
	text := fmt.Sprintf("status %d", f.Status)
	if f.Type != "" {
		text += " " + f.Type
	}
	if f.Reason != "" {
		text += ": " + f.Reason[:min(len(f.Reason), maxReason)]
	}
	return text
}

// is reports whether err is a failure of that type.
func is(err error, kind string) bool {
	var f *failure
	return errors.As(err, &f) && f.Type == kind
}

// call sends a request, within the Config's Timeout, and decodes the answer
// into out.
func (x *Index) call(ctx context.Context, req esapi.Request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, x.cfg.Timeout)
	defer cancel()
	res, err := req.Do(ctx, x.client)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if res.IsError() {
		return readFailure(res.StatusCode, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of Elasticsearch is no JSON as expected: %w", err)
	}
	return nil
}

// readFailure reads an error's body; a proxy's may hold anything.
func readFailure(status int, body []byte) error {
	var f struct {
		Error json.RawMessage `json:"error"`
	}
	fail := &failure{Status: status}
	if json.Unmarshal(body, &f) != nil || json.Unmarshal(f.Error, fail) != nil {
		fail.Type, fail.Reason = http.StatusText(status), ""
	}
	fail.Status = status
	return fail
}

// acknowledged is the answer to a change of the cluster's state.
type acknowledged struct {
	Acknowledged bool `json:"acknowledged"`
}

// change sends a request that changes indices or aliases. Nil says that every
// node knows of it.
func (x *Index) change(ctx context.Context, req esapi.Request) error {
	var answer acknowledged
	if err := x.call(ctx, req, &answer); err != nil {
		return err
	}
	if !answer.Acknowledged {
		return errors.New("not all nodes have acknowledged the change")
	}
	return nil
}

// encode writes v as JSON. What it is given can always be written.
func encode(v any) *bytes.Buffer {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("search/elastic: %T cannot be JSON: %v", v, err))
	}
	return &buf
}
