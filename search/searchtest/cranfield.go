package searchtest

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// Cranfield is a collection of 1,400 abstracts and 225 questions, with which
// the ranking of an index is measured.
type Cranfield struct {
	// Chunks are the abstracts, of one source.
	Chunks    []schemas.Chunk
	Questions []string
	// Relevant are the documents that answer a question, by its place.
	Relevant []map[string]bool
}

// CranfieldSource is the source of all abstracts.
const CranfieldSource = "abstracts"

// LoadCranfield reads the collection's files. It skips the test when folder is
// "".
func LoadCranfield(t *testing.T, folder string) *Cranfield {
	t.Helper()
	if folder == "" {
		t.Skip("RUNA_CRANFIELD_DIR is not set: the Cranfield collection is absent and ranking is not measured")
	}
	c := &Cranfield{Chunks: cranfieldChunks(t, folder), Questions: cranfieldQuestions(t, folder)}
	c.Relevant = cranfieldJudgements(t, folder, len(c.Questions))
	return c
}

// Measure returns the mean nDCG@10 over the questions that have an answer.
func (c *Cranfield) Measure(t *testing.T, x search.Index, product string) float64 {
	t.Helper()
	var sum, recall, n float64
	for i, question := range c.Questions {
		if len(c.Relevant[i]) == 0 {
			continue
		}
		found, err := x.Search(t.Context(), product, search.Query{Text: question, Sources: []string{CranfieldSource}, Limit: 50})
		require.NoError(t, err)
		gain, hits := ndcg10(found, c.Relevant[i])
		sum += gain
		recall += hits / float64(len(c.Relevant[i]))
		n++
	}
	t.Logf("Cranfield: %.0f questions, nDCG@10 %.4f, recall@50 %.4f", n, sum/n, recall/n)
	return sum / n
}

// ndcg10 is the normalised gain of the first ten, and how many relevant
// documents are among all found.
func ndcg10(found []search.Match, relevant map[string]bool) (ndcg, hits float64) {
	var gain, ideal float64
	for i, m := range found {
		if !relevant[m.DocumentID] {
			continue
		}
		hits++
		if i < 10 {
			gain += 1 / math.Log2(float64(i)+2)
		}
	}
	for i := range min(len(relevant), 10) {
		ideal += 1 / math.Log2(float64(i)+2)
	}
	return gain / ideal, hits
}

func cranfieldChunks(t *testing.T, folder string) []schemas.Chunk {
	t.Helper()
	var docs struct {
		Docs []struct {
			ID    string `xml:"docno"`
			Title string `xml:"title"`
			Text  string `xml:"text"`
		} `xml:"doc"`
	}
	readXML(t, filepath.Join(folder, "cran.all.1400.xml"), &docs)
	require.NotEmpty(t, docs.Docs)
	chunks := make([]schemas.Chunk, len(docs.Docs))
	for i, d := range docs.Docs {
		chunks[i] = schemas.Chunk{
			ID: d.ID, SourceID: CranfieldSource, DocumentID: d.ID, Version: 1,
			Title: strings.TrimSpace(d.Title), Text: strings.TrimSpace(d.Text),
		}
	}
	return chunks
}

func cranfieldQuestions(t *testing.T, folder string) []string {
	t.Helper()
	var topics struct {
		Tops []struct {
			Title string `xml:"title"`
		} `xml:"top"`
	}
	readXML(t, filepath.Join(folder, "cran.qry.xml"), &topics)
	require.NotEmpty(t, topics.Tops)
	questions := make([]string, len(topics.Tops))
	for i, top := range topics.Tops {
		questions[i] = top.Title
	}
	return questions
}

// cranfieldJudgements are by the question's place, which is what the
// collection numbers them by, not by its <num>. Judgements above 0 count.
func cranfieldJudgements(t *testing.T, folder string, questions int) []map[string]bool {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "cranqrel.trec.txt"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	judged := make([]map[string]bool, questions)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var question, zero, grade int
		var doc string
		_, err := fmt.Sscan(lines.Text(), &question, &zero, &doc, &grade)
		require.NoError(t, err, lines.Text())
		if grade <= 0 {
			continue
		}
		if judged[question-1] == nil {
			judged[question-1] = map[string]bool{}
		}
		judged[question-1][doc] = true
	}
	require.NoError(t, lines.Err())
	return judged
}

// readXML reads a file whose root may be missing.
func readXML(t *testing.T, path string, into any) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	text := string(data)
	if !strings.HasPrefix(text, "<?xml") {
		text = "<root>" + text + "</root>"
	}
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict = false
	require.NoError(t, decoder.Decode(into))
}
