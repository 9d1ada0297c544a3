package extractive

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"runa/llm"
)

const (
	// enough is the share of a question's weight that a unit and its passage
	// must hold to be an answer.
	enough = 0.58
	// further is the share of the best unit's score from which another unit
	// is added.
	further = 0.8
	// maxUnits is how many sentences a reply has at most.
	maxUnits = 4
	// maxBlock is the longest list or table that is given whole, in bytes.
	maxBlock = 1500
)

// What words in the places around a unit count beside words in it.
const (
	inHeading = 0.85
	inTitle   = 0.75
	inNear    = 0.6  // in the sentence before or after
	inPassage = 0.45 // elsewhere in the passage
	inBoth    = 0.15 // in the unit and in a heading: more than 1
)

// genericStems are in every help centre and tell little.
var genericStems = stemSet(`account user data page plan setting settings option feature app product service
system software team company business work support change new set time thing way problem issue question
information need start available team policy detail info size rule kind type valid`)

// answer is what the knowledge says to a question.
type answer struct {
	pieces []string // what is said, in order, with markers
	// confidence is the share of the question's weight that is covered.
	confidence float64
}

// reader looks for the answer to one question.
type reader struct {
	q        question
	passages []llm.Passage
	units    []unit
	whole    []wordSet // per passage, all its words
	headings []wordSet // per passage, of title and heading
	titles   []wordSet
	leaves   []wordSet // per passage, of its last heading
	ratings  []rating  // per unit
	weights  map[string]float64
	total    float64
}

// fromKnowledge selects what answers the question; no pieces when nothing
// does.
func fromKnowledge(q question, passages []llm.Passage) answer {
	if len(q.stems) == 0 || len(passages) == 0 {
		return answer{}
	}
	r := newReader(q, passages)
	if len(r.units) == 0 {
		return answer{}
	}
	best := r.best()
	confidence := r.ratings[best].confidence
	if confidence < enough {
		return answer{confidence: confidence}
	}
	return answer{pieces: r.render(r.choose(best)), confidence: confidence}
}

func newReader(q question, passages []llm.Passage) *reader {
	r := &reader{q: q, passages: passages, weights: map[string]float64{}}
	for i, p := range passages {
		units := unitsOf(i, p)
		all := setOf(stemsOf(p.Title + " " + p.Heading))
		r.titles = append(r.titles, setOf(stemsOf(p.Title)))
		r.leaves = append(r.leaves, setOf(stemsOf(p.Heading[strings.LastIndex(p.Heading, ">")+1:])))
		r.headings = append(r.headings, setOf(stemsOf(p.Heading)))
		for _, s := range stemsOf(p.Text) {
			all[s] = true
		}
		r.whole = append(r.whole, all)
		r.units = append(r.units, units...)
	}
	for _, s := range q.stems {
		r.weights[s] = r.weight(s)
		r.total += r.weights[s]
	}
	r.ratings = make([]rating, len(r.units))
	for i := range r.units {
		r.ratings[i] = r.rate(i)
	}
	return r
}

// weight is how much a word of the question tells: rare among the passages is
// much; generic words are little.
func (r *reader) weight(s string) float64 {
	var having float64
	for _, words := range r.whole {
		having += words.has(s)
	}
	n := float64(len(r.whole))
	w := 1 + math.Log(1+(n-having)/(having+1))
	if having == 0 {
		w = 1 + math.Log(1+max(n, 3)/2)
	}
	if genericStems[s] {
		w *= 0.5
	}
	if r.q.proper[s] {
		w *= 1.3
	}
	return w
}

// rating is how well a unit answers, and how much of the question it covers.
type rating struct{ score, confidence float64 }

// best returns the unit that answers best.
func (r *reader) best() int {
	best := 0
	for i := range r.units {
		if r.ratings[i].score > r.ratings[best].score {
			best = i
		}
	}
	return best
}

// rate rates a unit: how much of the question it and its surroundings cover,
// and whether it is the kind of answer that the question waits for.
func (r *reader) rate(i int) rating {
	u := &r.units[i]
	if u.head {
		return rating{}
	}
	var sum, covered float64
	for _, s := range r.q.stems {
		in, w := r.place(i, s), r.weights[s]
		if in == 0 && r.q.proper[s] {
			covered -= 0.5 * w // a name that is not there: another thing is asked for
		}
		sum += w * in
		covered += w * credit(in)
	}
	score := sum/r.total + cueBonus(r.q.cue, u) + r.topic(i)
	if u.intro {
		score -= 0.02 // what it leads to is better, all else equal
	}
	return rating{score, covered / r.total}
}

// topic rates how much of what a unit's heading and text are about is asked
// for: a heading of just the question's word is better than one of many.
func (r *reader) topic(i int) float64 {
	u := &r.units[i]
	return 0.1*r.share(r.leaves[u.passage]) + 0.05*r.share(u.words)
}

// share is the part of a set that the question has.
func (r *reader) share(set wordSet) float64 {
	var asked, content float64
	for s := range set {
		if stopStems[s] {
			continue
		}
		content++
		if r.weights[s] > 0 {
			asked++
		}
	}
	return asked / max(content, 1)
}

// credit is what a word found in a place counts for whether the question is
// answered at all: somewhere in the passage is enough to be about it.
func credit(in float64) float64 { return min(1, in+0.25*math.Ceil(in)) }

// place says where the word of a question is found, seen from a unit.
func (r *reader) place(i int, s string) float64 {
	u := &r.units[i]
	in := u.words.has(s)
	above := max(inHeading*u.above.has(s), inHeading*r.headings[u.passage].has(s), inTitle*r.titles[u.passage].has(s))
	if in > 0 && above > 0 {
		return in + inBoth
	}
	in = max(in, above)
	for _, j := range []int{i - 1, i + 1} {
		if j >= 0 && j < len(r.units) && r.units[j].passage == u.passage {
			in = max(in, inNear*r.units[j].words.has(s))
		}
	}
	if u.kind != sentence {
		in = max(in, r.lead(i, s))
	}
	return max(in, inPassage*r.whole[u.passage].has(s))
}

// lead finds a word in the sentence that introduces a list, table or code, or
// in a table's header.
func (r *reader) lead(i int, s string) float64 {
	for j := i - 1; j >= 0 && r.units[j].passage == r.units[i].passage; j-- {
		if r.units[j].block == r.units[i].block && !r.units[j].head {
			continue
		}
		if r.units[j].head || r.units[j].intro {
			if in := inHeading * r.units[j].words.has(s); in > 0 {
				return in
			}
			continue
		}
		return 0
	}
	return 0
}

var (
	moneyPattern  = regexp.MustCompile(`[$€£¥]\s?\d|\d\s?(USD|EUR|GBP|dollars|euros|%)|\b(?i:free)\b`)
	timePattern   = regexp.MustCompile(`(?i)\b\d+(-| )?(second|minute|hour|day|week|month|year|business)|\b(daily|weekly|monthly|annually|immediately|instantly|overnight|first of|end of|january|february|march|april|may|june|july|august|september|october|november|december|within|midnight)\b`)
	numberPattern = regexp.MustCompile(`\d`)
	whoPattern    = regexp.MustCompile(`(?i)\b(owners?|admins?|administrators?|members?|managers?|team|only|support|anyone|everyone|roles?)\b`)
	wherePattern  = regexp.MustCompile(`(?i)(\b(go to|open|under|in the|in settings|page|tab|menu)\b|→|>)`)
	orderPattern  = regexp.MustCompile(`(?i)^\W*(\d+[.)]\s+)?\W*(click|open|go|select|choose|enter|press|add|create|use|type|paste|copy|sign|log|ask|send|navigate|turn|switch|set|run|install|download|upload|invite|check|pick|save|confirm|to [a-z]+)\b`)
)

// cueBonus rates a unit by the kind of answer the question waits for.
func cueBonus(c cue, u *unit) float64 {
	has := func(p *regexp.Regexp, worth float64) float64 {
		if p.MatchString(u.text) {
			return worth
		}
		return 0
	}
	switch c {
	case cuePrice:
		return has(moneyPattern, 0.3)
	case cueTime:
		return has(timePattern, 0.25)
	case cueNumber:
		return has(numberPattern, 0.25)
	case cueHowTo:
		if u.ordered {
			return 0.2
		}
		return has(orderPattern, 0.15)
	case cueWho:
		return has(whoPattern, 0.15)
	case cueWhere:
		return has(wherePattern, 0.12)
	default:
		return 0
	}
}

// choose returns the units of the reply, in the order they are said: the best,
// what belongs to it, and others that answer nearly as well.
func (r *reader) choose(best int) []int {
	chosen := r.together(best)
	if r.q.story {
		chosen = append(chosen, r.following(best)...)
	}
	covered := r.coveredBy(chosen)
	for _, i := range r.ranked() {
		if len(chosen) >= maxUnits || r.ratings[i].score < further*r.ratings[best].score || r.ratings[i].confidence < enough {
			break
		}
		if slices.Contains(chosen, i) || !r.adds(i, covered, r.units[best].passage) {
			continue
		}
		for _, j := range r.together(i) {
			if !slices.Contains(chosen, j) {
				chosen = append(chosen, j)
			}
		}
		covered = r.coveredBy(chosen)
	}
	first := r.units[best].passage
	slices.SortFunc(chosen, func(a, b int) int {
		if pa, pb := r.units[a].passage, r.units[b].passage; pa != pb && (pa == first || pb == first) {
			if pa == first {
				return -1
			}
			return 1
		}
		return a - b
	})
	return chosen
}

// maxFollowing is how many sentences follow the best one where the question
// wants more than a fact.
const maxFollowing = 2

// following returns the sentences behind a sentence in its paragraph.
func (r *reader) following(i int) []int {
	var list []int
	for j := i + 1; j < len(r.units) && len(list) < maxFollowing; j++ {
		a, b := r.units[i], r.units[j]
		if a.kind != sentence || a.intro || b.passage != a.passage || b.block != a.block || b.intro {
			break
		}
		list = append(list, j)
	}
	return list
}

// ranked are the units by score, the best first.
func (r *reader) ranked() []int {
	order := make([]int, len(r.units))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.ratings[b].score, r.ratings[a].score) })
	return order
}

func (r *reader) coveredBy(chosen []int) wordSet {
	covered := wordSet{}
	for _, i := range chosen {
		for s := range r.weights {
			if r.units[i].words.has(s) > 0 {
				covered[s] = true
			}
		}
	}
	return covered
}

// adds reports whether a unit says more on the question than what is covered,
// or goes on in the passage of the best.
func (r *reader) adds(i int, covered wordSet, passage int) bool {
	if r.units[i].passage == passage {
		return true
	}
	for s := range r.weights {
		if !covered[s] && r.units[i].words.has(s) > 0 {
			return true
		}
	}
	return false
}

// together returns a unit with what makes no sense without it: the rest of a
// short list, a table's header, what a sentence with a colon leads to, and the
// sentence that leads to a list.
func (r *reader) together(i int) []int {
	u := r.units[i]
	switch {
	case u.kind == tableRow:
		return r.tableRows(i)
	case u.kind == listItem:
		return r.withIntro(r.listItems(i))
	case u.kind == codeBlock:
		return r.withIntro([]int{i})
	case u.intro && i+1 < len(r.units) && r.units[i+1].passage == u.passage && r.units[i+1].kind != sentence:
		return append([]int{i}, r.block(i+1)...)
	default:
		return []int{i}
	}
}

// block returns the units of a block, all of them when they are not too long,
// else the first of them.
func (r *reader) block(i int) []int {
	var list []int
	size := 0
	for j := range r.units {
		if r.units[j].passage == r.units[i].passage && r.units[j].block == r.units[i].block {
			if size += len(r.units[j].text); size > maxBlock {
				break
			}
			list = append(list, j)
		}
	}
	if len(list) == 0 {
		return []int{i}
	}
	return list
}

// listItems returns the whole list of an item where order matters or the item
// alone says too little, else the item.
func (r *reader) listItems(i int) []int {
	if list := r.block(i); r.units[i].ordered || (r.introduced(list[0]) && slices.Contains(list, i)) {
		if slices.Contains(list, i) {
			return list
		}
	}
	return []int{i}
}

func (r *reader) introduced(i int) bool {
	return i > 0 && r.units[i-1].passage == r.units[i].passage && r.units[i-1].intro
}

func (r *reader) withIntro(list []int) []int {
	if r.introduced(list[0]) {
		return append([]int{list[0] - 1}, list...)
	}
	return list
}

// tableRows returns the header and the rows that hold as much of the question
// as row i does.
func (r *reader) tableRows(i int) []int {
	var list []int
	for _, j := range r.block(i) {
		if r.units[j].head || j == i || r.ratings[j].score >= r.ratings[i].score-1e-9 {
			list = append(list, j)
		}
	}
	if !slices.Contains(list, i) {
		list = append(list, i)
	}
	return list
}

// render writes the units as pieces of text, each statement with the marker of
// its passage.
func (r *reader) render(chosen []int) []string {
	var pieces []string
	for n, i := range chosen {
		u := r.units[i]
		text := neutral(u.text)
		marker := fmt.Sprintf("[%d]", r.passages[u.passage].Number)
		last := n == len(chosen)-1 || r.units[chosen[n+1]].block != u.block || r.units[chosen[n+1]].passage != u.passage
		switch {
		case u.kind == codeBlock:
			text += "\n" + marker
		case u.kind == tableRow && last:
			text += "\n\n" + marker
		case u.kind == tableRow:
		case u.kind == listItem && !last:
		default:
			text += " " + marker
		}
		if n > 0 {
			text = r.gap(chosen[n-1], i) + text
		}
		pieces = append(pieces, text)
	}
	return pieces
}

// gap is what stands between two units.
func (r *reader) gap(a, b int) string {
	x, y := r.units[a], r.units[b]
	switch {
	case x.kind == sentence && y.kind == sentence && x.passage == y.passage:
		return " "
	case x.passage == y.passage && x.block == y.block:
		return "\n"
	default:
		return "\n\n"
	}
}

var bracketed = regexp.MustCompile(`\[(\d+)\]`)

// neutral rewrites what a reader would take for a marker of ours.
func neutral(text string) string {
	return bracketed.ReplaceAllString(string([]rune(text)), "($1)") // []rune: a reply is UTF-8
}
