package seal

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"runa/schemas"
)

// The metadata of a sealed payload. The encoding's name is the one that
// Temporal's own tools and samples show for encrypted payloads.
const (
	encodingEncrypted = "binary/encrypted"
	metadataKeyID     = "encryption-key-id"
)

// Codec returns a payload codec that encrypts whole payloads, metadata
// included. Decode leaves payloads alone that are not encrypted: the server
// makes some itself.
//
// A payload is not bound to its workflow, as the codec is not told of it; what
// must not move between objects is sealed with Seal and lies in the store.
func (s *Sealer) Codec() converter.PayloadCodec {
	return codec{s}
}

// DataConverter returns Temporal's default data converter behind the codec.
func (s *Sealer) DataConverter() converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), s.Codec())
}

// FailureConverter returns a failure converter that encrypts messages and
// stack traces of errors too: they quote what they failed on.
func (s *Sealer) FailureConverter() converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter:          s.DataConverter(),
		EncodeCommonAttributes: true,
	})
}

// OpenPayloads decrypts payloads of histories to show them; those that are not
// encrypted stay as they are.
func (s *Sealer) OpenPayloads(sealed []schemas.Payload) ([]schemas.Payload, error) {
	payloads := make([]*commonpb.Payload, len(sealed))
	for i, p := range sealed {
		payloads[i] = &commonpb.Payload{Metadata: p.Metadata, Data: p.Data}
	}
	payloads, err := s.Codec().Decode(payloads)
	if err != nil {
		return nil, err
	}
	plain := make([]schemas.Payload, len(payloads))
	for i, p := range payloads {
		plain[i] = schemas.Payload{Metadata: p.GetMetadata(), Data: p.GetData()}
	}
	return plain, nil
}

type codec struct{ sealer *Sealer }

var _ converter.PayloadCodec = codec{}

// Encode encrypts every payload.
func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, c.encode)
}

// Decode decrypts the payloads that Encode made, and fails with ErrOpen if one
// of them does not open.
func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, c.decode)
}

func (c codec) encode(payload *commonpb.Payload) (*commonpb.Payload, error) {
	plain, err := proto.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	data, err := c.sealer.aead.Encrypt(plain, associated(purposePayload))
	if err != nil {
		return nil, fmt.Errorf("encrypt payload: %w", err)
	}
	return &commonpb.Payload{
		Metadata: map[string][]byte{
			converter.MetadataEncoding: []byte(encodingEncrypted),
			metadataKeyID:              []byte(c.sealer.primary),
		},
		Data: data,
	}, nil
}

func (c codec) decode(payload *commonpb.Payload) (*commonpb.Payload, error) {
	if string(payload.GetMetadata()[converter.MetadataEncoding]) != encodingEncrypted {
		return payload, nil
	}
	plain, err := c.sealer.aead.Decrypt(payload.GetData(), associated(purposePayload))
	if err != nil {
		return nil, fmt.Errorf("%w: payload of key %q", ErrOpen, payload.GetMetadata()[metadataKeyID])
	}
	decoded := new(commonpb.Payload)
	if err := proto.Unmarshal(plain, decoded); err != nil {
		return nil, fmt.Errorf("decode payload: %w", err)
	}
	return decoded, nil
}

func each(
	payloads []*commonpb.Payload, change func(*commonpb.Payload) (*commonpb.Payload, error),
) ([]*commonpb.Payload, error) {
	changed := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		var err error
		if changed[i], err = change(payload); err != nil {
			return nil, err
		}
	}
	return changed, nil
}
