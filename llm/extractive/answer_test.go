package extractive_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/llm"
	"runa/llm/extractive"
)

const notKnown = "I could not find an answer to that in the knowledge I have."

func ask(t testing.TB, text string, knowledge []llm.Passage, tools ...llm.Tool) *llm.Response {
	t.Helper()
	return generate(t, &llm.Request{
		Knowledge: knowledge, Tools: tools,
		Messages: []llm.Message{{Role: llm.RoleUser, Text: text}},
	})
}

func generate(t testing.TB, req *llm.Request) *llm.Response {
	t.Helper()
	r, err := extractive.New().Generate(t.Context(), req, nil)
	require.NoError(t, err)
	return r
}

func numbered(passages []llm.Passage) []llm.Passage {
	out := make([]llm.Passage, len(passages))
	for i, p := range passages {
		p.Number = i + 1
		out[i] = p
	}
	return out
}

// some is the passage of a URL and four others, as a search would give.
func some(url string, offset int) []llm.Passage {
	var out []llm.Passage
	for i, p := range ledgerline {
		if strings.HasSuffix(p.URL, "example"+url) {
			out = append(out, p)
			for k := 1; k <= 4; k++ {
				out = append(out, ledgerline[(i+k*(offset+1))%len(ledgerline)])
			}
		}
	}
	out[0], out[offset%5] = out[offset%5], out[0]
	return numbered(out)
}

var marker = regexp.MustCompile(`\[(\d+)\]`)

func cites(reply string, passages []llm.Passage) []string {
	var urls []string
	for _, m := range marker.FindAllStringSubmatch(reply, -1) {
		for _, p := range passages {
			if m[1] == strconv.Itoa(p.Number) {
				urls = append(urls, strings.TrimPrefix(p.URL, "https://help.ledgerline.example"))
			}
		}
	}
	return urls
}

// TestAnswers measures the model on the help centre: with all passages, and
// with five as a search would give. It must keep the accuracy it has.
func TestAnswers(t *testing.T) {
	t.Parallel()
	all := numbered(ledgerline)
	for name, given := range map[string]func(i int, url string) []llm.Passage{
		"all":  func(int, string) []llm.Passage { return all },
		"five": func(i int, url string) []llm.Passage { return some(url, i%3) },
	} {
		var right int
		for i, c := range answerable {
			passages := given(i, c.url)
			reply := ask(t, c.question, passages).Text
			urls := cites(reply, passages)
			if len(urls) > 0 && urls[0] == c.url && strings.Contains(reply, c.phrase) {
				right++
				continue
			}
			t.Logf("%s: %s\n\twant %s %q\n\tgot %s", name, c.question, c.url, c.phrase, reply)
		}
		t.Logf("%s: %d of %d answered from the right passage with the right phrase", name, right, len(answerable))
		require.GreaterOrEqual(t, right, len(answerable)*95/100)
	}
}

func TestUnanswerable(t *testing.T) {
	t.Parallel()
	var right int
	for _, question := range unanswerable {
		reply := ask(t, question, numbered(ledgerline)).Text
		if strings.HasPrefix(reply, notKnown) {
			right++
			require.Empty(t, marker.FindString(reply))
			continue
		}
		t.Logf("%s\n\tgot %s", question, reply)
	}
	t.Logf("%d of %d said not to be known", right, len(unanswerable))
	require.GreaterOrEqual(t, right, len(unanswerable)*9/10)
}

// TestParaphrased measures what is asked in other words. Being told that
// nothing is known is a miss; a wrong passage is worse and not accepted.
func TestParaphrased(t *testing.T) {
	t.Parallel()
	all := numbered(ledgerline)
	var right int
	for _, c := range paraphrased {
		reply := ask(t, c.question, all).Text
		urls := cites(reply, all)
		switch {
		case len(urls) > 0 && urls[0] == c.url && strings.Contains(reply, c.phrase):
			right++
		case len(urls) > 0 && urls[0] != c.url:
			t.Errorf("%s\n\twant %s %q\n\tgot %s", c.question, c.url, c.phrase, reply)
		default:
			t.Logf("not known: %s", c.question)
		}
	}
	t.Logf("%d of %d answered", right, len(paraphrased))
	require.GreaterOrEqual(t, right, len(paraphrased)*7/10)
	for _, question := range paraphrasedUnanswerable {
		require.Contains(t, ask(t, question, all).Text, notKnown, question)
	}
}

func TestNothingGiven(t *testing.T) {
	t.Parallel()
	require.True(t, strings.HasPrefix(ask(t, "How do I export my data?", nil).Text, notKnown))
	require.Equal(t, "Hello! What would you like to know?", ask(t, "Hi there!", numbered(ledgerline)).Text)
	require.NotEmpty(t, generate(t, &llm.Request{}).Text)
}

func TestFollowUp(t *testing.T) {
	t.Parallel()
	reply := generate(t, &llm.Request{Knowledge: numbered(ledgerline), Messages: []llm.Message{
		{Role: llm.RoleUser, Text: "What does the Starter plan cost?"},
		{Role: llm.RoleModel, Text: "$19 [1]"},
		{Role: llm.RoleUser, Text: "And the Pro plan?"},
	}}).Text
	require.Contains(t, reply, "$79")
}

// The pieces that Markdown is made of stay whole.
func TestMarkdownStaysWhole(t *testing.T) {
	t.Parallel()
	all := numbered(ledgerline)
	reply := ask(t, "What does the Pro plan cost?", all).Text
	require.Contains(t, reply, "| Plan | Price per month | Users | API requests per minute |\n| --- | --- | --- | --- |\n| Pro |")
	require.NotContains(t, reply, "| Starter |")
	reply = ask(t, "How do I export my data?", all).Text
	require.Contains(t, reply, "1. Open **Reports → Exports**.\n2. Choose what to export and the date range.\n3. Click **Start export**. [9]")
	reply = ask(t, "How do I send the API key in the Authorization header with curl?", all).Text
	require.Contains(t, reply, "```bash\ncurl https://api")
	require.Equal(t, 2, strings.Count(reply, "```"))
}

// TestSaysNothingElse holds each sentence of each reply to the passages.
func TestSaysNothingElse(t *testing.T) {
	t.Parallel()
	var questions []string
	for _, c := range answerable {
		questions = append(questions, c.question)
	}
	for _, question := range append(questions, unanswerable...) {
		for _, passages := range [][]llm.Passage{numbered(ledgerline), numbered(ledgerline[3:8])} {
			requireQuoted(t, ask(t, question, passages).Text, passages)
		}
	}
}

func FuzzSaysNothingElse(f *testing.F) {
	f.Add("How do I export?", "Export [1] it.\n\n1. Click.\n2. Wait 3 days.\n| a | b |\n|---|---|\n| export | 1 |\n```\nexport x")
	f.Add("what is the price", "# Price\n\nThe price is $5. It was $4! Is it?\n- price: none\n  more\n\n\n- b")
	f.Fuzz(func(t *testing.T, question, text string) {
		passages := []llm.Passage{{Number: 7, Title: "Export price", Text: text}}
		reply := ask(t, question, passages)
		require.Empty(t, reply.Calls)
		requireQuoted(t, reply.Text, passages)
		for _, m := range marker.FindAllStringSubmatch(reply.Text, -1) {
			require.Equal(t, "7", m[1], "a number in brackets that is no citation")
		}
	})
}

// requireQuoted fails when a line of the reply is in no passage, whitespace,
// markers and fixed phrases apart.
func requireQuoted(t *testing.T, reply string, passages []llm.Passage) {
	t.Helper()
	reply = strings.ReplaceAll(reply, notKnown, "")
	reply = strings.ReplaceAll(reply, "I am the offline model and can only quote what I was given.", "")
	reply = strings.ReplaceAll(reply, "Hello! What would you like to know?", "")
	var source strings.Builder
	for _, p := range passages {
		source.WriteString(plain(p.Text) + "\n")
	}
	for _, line := range strings.Split(marker.ReplaceAllString(reply, "\n"), "\n") {
		if line = plain(line); line != "" && line != "```" {
			require.Contains(t, source.String(), line)
		}
	}
}

var number = regexp.MustCompile(`[\[(](\d+)[\])]`)

func plain(s string) string {
	s = string([]rune(s)) // each byte that is no UTF-8 is U+FFFD
	return strings.Join(strings.Fields(number.ReplaceAllString(s, "($1)")), " ")
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	for _, c := range answerable[:10] {
		first := ask(t, c.question, numbered(ledgerline))
		for range 5 {
			require.Equal(t, first, ask(t, c.question, numbered(ledgerline)))
		}
	}
}

func TestCancelledMidway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := extractive.New().Generate(ctx, &llm.Request{
		Knowledge: numbered(ledgerline),
		Messages:  []llm.Message{{Role: llm.RoleUser, Text: "What happens if a payment fails?"}},
	}, func(string) { cancel() })
	var failure *llm.Error
	require.ErrorAs(t, err, &failure)
	require.True(t, failure.Retryable)
}

func BenchmarkGenerate(b *testing.B) {
	passages := numbered(ledgerline)
	for b.Loop() {
		ask(b, "What does the Pro plan cost?", passages, everything...)
	}
}
