package seal

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

const canary = "canary-5d1f"

func TestDataConverterEncryptsAllOfAPayload(t *testing.T) {
	t.Parallel()
	sealer := mustSealer(t, mustHandle(t))
	converter := sealer.DataConverter()
	payloads, err := converter.ToPayloads(map[string]string{"text": canary}, []byte(canary), nil)
	require.NoError(t, err)
	require.Len(t, payloads.Payloads, 3)
	for _, payload := range payloads.Payloads {
		require.Equal(t, encodingEncrypted, string(payload.Metadata["encoding"]))
		require.Equal(t, sealer.primary, string(payload.Metadata[metadataKeyID]))
		require.Len(t, payload.Metadata, 2, "the metadata of the value is inside")
		require.NotContains(t, string(payload.Data), canary)
	}
	var text map[string]string
	var data []byte
	var none *string
	require.NoError(t, converter.FromPayloads(payloads, &text, &data, &none))
	require.Equal(t, canary, text["text"])
	require.Equal(t, canary, string(data))
	require.Nil(t, none)
}

func TestFailureConverterEncryptsMessages(t *testing.T) {
	t.Parallel()
	converter := mustSealer(t, mustHandle(t)).FailureConverter()
	cause := errors.New("cause " + canary)
	failure := converter.ErrorToFailure(temporal.NewApplicationErrorWithCause("outer "+canary, "Kind", cause, canary))
	wire, err := proto.Marshal(failure)
	require.NoError(t, err)
	require.NotContains(t, string(wire), canary)

	var application *temporal.ApplicationError
	require.ErrorAs(t, converter.FailureToError(failure), &application)
	require.Equal(t, "outer "+canary, application.Message())
	require.Equal(t, "Kind", application.Type())
	require.ErrorContains(t, application.Unwrap(), canary)
}

func TestCodecRotation(t *testing.T) {
	t.Parallel()
	old := mustHandle(t)
	before, after := mustSealer(t, old), mustSealer(t, mustRotate(t, old))
	payloads := []*commonpb.Payload{{Data: []byte(canary)}}
	encoded, err := before.Codec().Encode(payloads)
	require.NoError(t, err)
	decoded, err := after.Codec().Decode(encoded)
	require.NoError(t, err)
	require.True(t, proto.Equal(payloads[0], decoded[0]))

	encoded, err = after.Codec().Encode(payloads)
	require.NoError(t, err)
	_, err = before.Codec().Decode(encoded)
	require.ErrorIs(t, err, ErrOpen)
}

func TestCodecKeepsPurposesApart(t *testing.T) {
	t.Parallel()
	sealer := mustSealer(t, mustHandle(t))
	encoded, err := sealer.Codec().Encode([]*commonpb.Payload{{Data: []byte(canary)}})
	require.NoError(t, err)
	_, err = sealer.Open(encoded[0].Data, "", "")
	require.ErrorIs(t, err, ErrOpen)

	sealed, err := sealer.Seal([]byte(canary), "", "")
	require.NoError(t, err)
	encoded[0].Data = sealed
	_, err = sealer.Codec().Decode(encoded)
	require.ErrorIs(t, err, ErrOpen)
}

func TestCodecLeavesPlainPayloads(t *testing.T) {
	t.Parallel()
	codec := mustSealer(t, mustHandle(t)).Codec()
	plain := []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`1`)}, {}}
	decoded, err := codec.Decode(plain)
	require.NoError(t, err)
	require.Equal(t, plain, decoded)
}
