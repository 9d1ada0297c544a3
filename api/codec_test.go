package api

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"runa/seal"
)

// TestCodecServer is asked by the SDK's own client of codec servers, as
// Temporal's tools do.
func TestCodecServer(t *testing.T) {
	t.Parallel()
	sealer, err := seal.Load(filepath.Join(t.TempDir(), "keyset.json"), "")
	require.NoError(t, err)
	b := setup(t, func(cfg *Config) { cfg.Decode = sealer.OpenPayloads })
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	remote := func(key string) converter.PayloadCodec {
		return converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
			Endpoint: server.URL + "/v1/codec",
			ModifyRequest: func(r *http.Request) error {
				r.Header.Set("Authorization", "Bearer "+key)
				return nil
			},
		})
	}
	payloads, err := sealer.DataConverter().ToPayloads(map[string]string{"turn": "msg_1"}, 7)
	require.NoError(t, err)
	plain, err := remote(operatorKey).Decode(payloads.Payloads)
	require.NoError(t, err)
	require.Len(t, plain, 2)
	require.JSONEq(t, `{"turn":"msg_1"}`, string(plain[0].Data))
	require.Equal(t, "json/plain", string(plain[0].Metadata[converter.MetadataEncoding]))
	require.Equal(t, "7", string(plain[1].Data))

	again, err := remote(operatorKey).Decode(plain)
	require.NoError(t, err, "what is not encrypted stays as it is")
	require.Equal(t, string(plain[0].Data), string(again[0].Data))
	_, err = remote(productKey).Decode(payloads.Payloads)
	require.ErrorContains(t, err, "forbidden")

	other, err := seal.Load(filepath.Join(t.TempDir(), "keyset.json"), "")
	require.NoError(t, err)
	foreign, err := other.DataConverter().ToPayloads("x")
	require.NoError(t, err)
	_, err = remote(operatorKey).Decode(foreign.Payloads)
	require.ErrorContains(t, err, "invalid_request")
}
