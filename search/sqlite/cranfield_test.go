package sqlite_test

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// TestCranfield measures the ranking on the Cranfield collection: 1,400
// abstracts, 225 questions. Judgements above 0 count as relevant.
func TestCranfield(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("RUNA_CRANFIELD_DIR")
	if folder == "" {
		t.Skip("RUNA_CRANFIELD_DIR is not set: the Cranfield collection is absent and ranking is not measured")
	}
	x := setup(t)
	require.NoError(t, x.Put(t.Context(), "cranfield", cranfieldChunks(t, folder)))
	whole := measureCranfield(t, x, folder)
	require.GreaterOrEqual(t, whole, 0.39)
	x.PruneFrom(1)
	require.InDelta(t, whole, measureCranfield(t, x, folder), 0.005, "what pruning may cost")
}

// measureCranfield returns the mean nDCG@10.
func measureCranfield(t *testing.T, x search.Index, folder string) float64 {
	t.Helper()
	judged := cranfieldJudgements(t, folder)
	var sum, recall float64
	var n int
	for i, question := range cranfieldQuestions(t, folder) {
		relevant := judged[i+1]
		if len(relevant) == 0 {
			continue
		}
		found, err := x.Search(t.Context(), "cranfield", search.Query{Text: question, Sources: []string{"abstracts"}, Limit: 50})
		require.NoError(t, err)
		gain, hits := ndcg10(found, relevant)
		sum += gain
		recall += hits / float64(len(relevant))
		n++
	}
	t.Logf("Cranfield: %d questions, nDCG@10 %.4f, recall@50 %.4f", n, sum/float64(n), recall/float64(n))
	return sum / float64(n)
}

// ndcg10 is the normalised gain of the first ten, and how many relevant
// documents are among all found.
func ndcg10(found []search.Match, relevant map[string]float64) (ndcg, hits float64) {
	var gain, ideal float64
	for i, m := range found {
		if i < 10 {
			gain += relevant[m.DocumentID] / math.Log2(float64(i)+2)
		}
		if relevant[m.DocumentID] > 0 {
			hits++
		}
	}
	best := slices.SortedFunc(maps.Values(relevant), func(a, b float64) int { return cmp.Compare(b, a) })
	for i, g := range best[:min(len(best), 10)] {
		ideal += g / math.Log2(float64(i)+2)
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
			ID: d.ID, SourceID: "abstracts", DocumentID: d.ID, Version: 1,
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
// collection numbers them by, not by its <num>.
func cranfieldJudgements(t *testing.T, folder string) map[int]map[string]float64 {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "cranqrel.trec.txt"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	judged := map[int]map[string]float64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var question, zero, grade int
		var doc string
		_, err := fmt.Sscan(lines.Text(), &question, &zero, &doc, &grade)
		require.NoError(t, err, lines.Text())
		if grade <= 0 {
			continue
		}
		if judged[question] == nil {
			judged[question] = map[string]float64{}
		}
		judged[question][doc] = 1
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
