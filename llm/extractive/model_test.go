package extractive_test

import (
	"testing"

	"runa/llm"
	"runa/llm/extractive"
	"runa/llm/llmtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, func(*testing.T) llm.Model { return extractive.New() },
		llmtest.Deterministic(), llmtest.CallsTools(), llmtest.Cites())
}
