package extractive

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"runa/llm"
)

const (
	// fitting is how well a tool must fit to be called.
	fitting = 0.6
	// maxCalls is how many calls one message may lead to.
	maxCalls = 8
)

// plan is what to do about tools: calls, or a question back, or neither.
type plan struct {
	calls []llm.Call
	ask   string
	// firm says that the message asks for this and not for knowledge.
	firm bool
	// covers is the share of the message's words that the tool's have.
	covers float64
}

// readVerbs begin the names of tools that only look.
var readVerbs = stemSet("get fetch find list lookup look up show read search query retrieve check view describe count by for of all the and to from in with")

// verbGroups are what tools do to things; a message must ask for just that.
var verbGroups = []wordSet{
	stemSet("create add new open make book schedule raise file submit"),
	stemSet("delete remove erase"),
	stemSet("cancel terminate"),
	stemSet("update change set edit modify rename"),
	stemSet("send mail notify"),
	stemSet("refund"), stemSet("invite"), stemSet("run start trigger launch"), stemSet("stop pause"),
	stemSet("reset"), stemSet("enable activate"), stemSet("disable deactivate suspend"),
	stemSet("assign"), stemSet("approve"), stemSet("close resolve"), stemSet("pay charge"), stemSet("upgrade"),
}

var (
	request = regexp.MustCompile(`(?i)^\W*((please|can you|could you|would you|will you|i want (you )?to|i need (you )?to|i'?d like (you )?to|i would like (you )?to|let me|hey|hi|hello|ok|okay|now|and|then|also|kindly|just)[\s,!]+)*(show|give|get|fetch|find|list|look|lookup|pull|tell|check|see|display|retrieve|search|create|add|make|open|send|cancel|delete|remove|update|change|set|refund|book|schedule|run|start|stop|report|reset|invite|assign|approve|close|pay|upgrade|enable|disable|count)\b`)
	owning  = regexp.MustCompile(`(?i)\b(our|my|we|us)\b`)
	// lesson asks to be taught, whatever words follow.
	lesson = regexp.MustCompile(`(?i)\b(how (do|can|could|should|would|to)\b|how does|where (do|can|could|should)\b|why\b|can (i|we)\b|could (i|we)\b|may i\b|what happens|difference|(show|tell|teach) me (how|about|why|where|what)|steps to|way to|what (is|are) an?\b|explain\b|should (i|we)\b|polic(y|ies)\b|(do|does) (you|it|the|your)\b|is it possible)`)
)

// planCalls decides which tool, if any, the message asks for.
func planCalls(q question, tools []llm.Tool, made []llm.Call) plan {
	text := q.text
	if q.before != "" {
		text += "\n" + q.before
	}
	if lesson.MatchString(text) {
		return plan{}
	}
	var best plan
	var bestFit float64
	for _, t := range tools {
		p, fit := planTool(text, q, t, made)
		if fit >= fitting && fit > bestFit {
			best, bestFit = p, fit
		}
	}
	return best
}

// planTool rates one tool and reads its arguments.
func planTool(text string, q question, t llm.Tool, made []llm.Call) (plan, float64) {
	f := newFiller(text)
	s := parseSchema(t.Parameters)
	subject := f.subject()
	nouns, verbs := nameParts(t.Name)
	if !asksFor(text, verbs) {
		return plan{}, 0
	}
	fit, named, covers := rate(subject, f.units(), nouns, contentStems(t.Description))
	args, missing := f.fill(s)
	asked := request.MatchString(text)
	switch {
	case asked && (f.typed || named > 0.99):
	case f.typed && named >= 0.5:
	case owning.MatchString(text) && named > 0.99:
	case f.found > 0 && named > 0.99:
	default:
		return plan{}, 0
	}
	if asked && f.typed && (covers > 0.99 || len(subject) == 0) {
		fit = max(fit, fitting) // "look up ann@example.com"
	}
	p := plan{firm: asked || f.typed, covers: covers}
	if missing != "" {
		p.ask = askFor(t, missing, s.Properties[missing])
		return p, fit
	}
	p.calls = callsOf(t, s, f, args, q.before == "", made)
	return p, fit
}

// subject is what a message is about, without the values in it and without
// the verbs of asking; the units of its periods are understood.
func (f *filler) subject() []string {
	var out []string
	for _, s := range contentStems(f.v.rest) {
		if !readVerbs[s] && s != stem("report") && s != stem("last") && s != stem("tell") {
			out = append(out, s)
		}
	}
	return out
}

// units are the units of the periods in the message: who names March need not
// say month.
func (f *filler) units() []string {
	var out []string
	for _, p := range f.v.periods {
		out = append(out, p.unitStems()...)
	}
	return out
}

// nameParts cuts a tool's name into the things it is about and what it does to
// them.
func nameParts(name string) (nouns, verbs []string) {
	for _, w := range splitName(name) {
		s := stem(strings.ToLower(w))
		switch {
		case readVerbs[s]:
		case groupOf(s) != nil && len(nouns) == 0 && len(verbs) == 0:
			verbs = append(verbs, s)
		default:
			nouns = append(nouns, s)
		}
	}
	return nouns, verbs
}

func groupOf(s string) wordSet {
	for _, g := range verbGroups {
		if g[s] {
			return g
		}
	}
	return nil
}

// asksFor reports whether the message tells to do what the tool does: its
// verb, or one that means the same, is the first word that matters. A tool
// that only looks needs no verb, but none that does something else.
func asksFor(text string, verbs []string) bool {
	words := contentStems(strings.ToLower(text))
	var said wordSet
	if request.MatchString(text) && len(words) > 0 {
		m := request.FindStringSubmatch(text)
		said = groupOf(stem(strings.ToLower(m[len(m)-1])))
	}
	for _, v := range verbs {
		g := groupOf(v)
		if said == nil || !g[firstOf(said)] {
			return false
		}
	}
	return len(verbs) > 0 || said == nil
}

// firstOf names a group by its least member.
func firstOf(set wordSet) string {
	least := ""
	for s := range set {
		if least == "" || s < least {
			least = s
		}
	}
	return least
}

// rate says how well the words of a message, and those understood with them,
// fit a tool: fit in all, named the
// share of the name's words it has, covers the share of its own words that the
// tool has.
func rate(subject, understood, nouns, description []string) (fit, named, covers float64) {
	said := setOf(slices.Concat(subject, understood))
	offered := setOf(slices.Concat(nouns, description))
	if len(nouns) == 0 {
		nouns = description[:min(2, len(description))]
	}
	for _, n := range nouns {
		named += said.has(n)
	}
	if len(nouns) > 0 {
		named /= float64(len(nouns))
	}
	for _, s := range subject {
		covers += offered.has(s)
	}
	if len(subject) > 0 {
		covers /= float64(len(subject))
	}
	return 0.7*named + 0.3*covers, named, covers
}

// callsOf makes the calls: one, or one for each value when a message names
// several and the tool takes one.
func callsOf(t llm.Tool, s *schema, f *filler, args map[string]any, several bool, made []llm.Call) []llm.Call {
	var calls []llm.Call
	for {
		data, err := json.Marshal(args)
		if err != nil {
			return calls
		}
		call := llm.Call{Name: t.Name, Arguments: data}
		if !contains(made, call) && !contains(calls, call) {
			calls = append(calls, call)
		}
		before := f.taken
		var missing string
		args, missing = f.fill(s)
		if missing != "" || f.taken == before || !several || len(calls) == maxCalls {
			return calls
		}
	}
}

func contains(calls []llm.Call, c llm.Call) bool {
	return slices.ContainsFunc(calls, func(o llm.Call) bool {
		return o.Name == c.Name && bytes.Equal(compact(o.Arguments), compact(c.Arguments))
	})
}

// compact writes JSON in one way, members by name.
func compact(data json.RawMessage) []byte {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return data
	}
	out, err := json.Marshal(v)
	if err != nil {
		return data
	}
	return out
}
