package tool

import "github.com/santhosh-tekuri/jsonschema/v6"

// maxCost bounds the schemas that one value of the arguments is checked
// against. A schema of a kilobyte whose references branch can ask for 2^30
// checks, and nothing interrupts a check.
const maxCost = 2_000

// tooCostly tells whether some value in arguments of the greatest depth may be
// checked more than maxCost times.
func tooCostly(s *jsonschema.Schema) bool {
	c := costs{}
	return c.of(s, maxDepth) > maxCost
}

type costKey struct {
	schema *jsonschema.Schema
	depth  int
}

// costs remembers what a schema costs above a depth of values.
type costs map[costKey]int

func (c costs) of(s *jsonschema.Schema, depth int) int {
	if s == nil || depth < 0 {
		return 0
	}
	key := costKey{s, depth}
	if n, ok := c[key]; ok {
		return n
	}
	c[key] = 0 // a cycle in place ends the check with an error
	n := 1
	for _, sub := range inPlace(s) {
		n = min(n+c.of(sub, depth), maxCost+1)
	}
	n = min(n+c.below(s, depth-1), maxCost+1)
	c[key] = n
	return n
}

// below is the cost of the values inside an object or array. A value is one
// property or one item, so among those only the costliest counts.
func (c costs) below(s *jsonschema.Schema, depth int) int {
	properties, items := 0, c.any(s.Items, depth)
	for _, sub := range s.Properties {
		properties = max(properties, c.of(sub, depth))
	}
	for _, sub := range s.PrefixItems {
		items = max(items, c.of(sub, depth))
	}
	items = max(items, c.of(s.Items2020, depth), c.any(s.AdditionalItems, depth))
	n := properties + items + c.any(s.AdditionalProperties, depth)
	for _, sub := range s.PatternProperties {
		n += c.of(sub, depth)
	}
	return n + c.of(s.PropertyNames, depth) + c.of(s.UnevaluatedProperties, depth) +
		c.of(s.Contains, depth) + c.of(s.UnevaluatedItems, depth)
}

// any is the cost of a keyword that older drafts give several types.
func (c costs) any(v any, depth int) int {
	switch v := v.(type) {
	case *jsonschema.Schema:
		return c.of(v, depth)
	case []*jsonschema.Schema:
		n := 0
		for _, sub := range v {
			n = max(n, c.of(sub, depth))
		}
		return n
	}
	return 0
}

// inPlace are the schemas that check the same value as s.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	subs := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		subs = append(subs, s.DynamicRef.Ref)
	}
	subs = append(subs, s.AllOf...)
	subs = append(subs, s.AnyOf...)
	subs = append(subs, s.OneOf...)
	for _, sub := range s.DependentSchemas {
		subs = append(subs, sub)
	}
	for _, dependency := range s.Dependencies {
		if sub, ok := dependency.(*jsonschema.Schema); ok {
			subs = append(subs, sub)
		}
	}
	return subs
}
