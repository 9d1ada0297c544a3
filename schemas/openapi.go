package schemas

import (
	_ "embed" // the document is part of the program
	"slices"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns the API's description, an OpenAPI document in YAML: what is
// served at /openapi.yaml and what requests are validated against. The caller
// owns the returned bytes.
func OpenAPI() []byte { return slices.Clone(openAPI) }
