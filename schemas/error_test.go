package schemas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// requireInvalid asserts that err is an InvalidRequest for the field.
func requireInvalid(t *testing.T, err error, param string) {
	t.Helper()
	e := schemas.AsError(err)
	require.NotNil(t, e, "want an error that names %s, got %v", param, err)
	require.Equal(t, schemas.InvalidRequest, e.Code)
	require.Equal(t, param, e.Param)
	require.NotEmpty(t, e.Message)
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	refused := schemas.Errorf(schemas.NotFound, "tool %q", "x")
	require.Equal(t, "not_found: tool \"x\"", refused.Error())
	for _, c := range []struct {
		err  error
		want schemas.Code
	}{
		{nil, ""},
		{io.EOF, schemas.Internal},
		{refused, schemas.NotFound},
		{fmt.Errorf("store: %w", refused), schemas.NotFound},
		{errors.Join(io.EOF, refused), schemas.NotFound},
	} {
		require.Equal(t, c.want, schemas.CodeOf(c.err), "%v", c.err)
	}
	require.Nil(t, schemas.AsError(io.EOF))
	require.Same(t, refused, schemas.AsError(fmt.Errorf("store: %w", refused)))
}

func TestErrorJSON(t *testing.T) {
	t.Parallel()
	e := schemas.Errorf(schemas.RateLimited, "slow down")
	e.RetryAfter = time.Minute
	data, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"code":"rate_limited","message":"slow down"}`, string(data))
}

func TestMessageOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, "no such thing", schemas.MessageOf(fmt.Errorf("read: %w", schemas.Errorf(schemas.NotFound, "no such thing"))))
	require.Equal(t, "broken", schemas.MessageOf(errors.New("broken")))
}
