package schemas

// Payload is a value in a history of the durable engine, as Temporal's tools
// send it to a codec server and read it back (protobuf's JSON of
// temporal.api.common.v1.Payload).
type Payload struct {
	Metadata map[string][]byte `json:"metadata,omitempty"`
	Data     []byte            `json:"data,omitempty"`
}

// Payloads is the body of a codec server's call and of its answer.
type Payloads struct {
	Payloads []Payload `json:"payloads"`
}
