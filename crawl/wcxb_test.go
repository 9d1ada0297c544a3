package crawl

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wcxbDirEnv names the folder of WCXB's development pages (pages.json, html/);
// they are not part of the project.
const wcxbDirEnv = "RUNA_WCXB_DIR"

// wcxbFloor is what the extraction must reach over all pages. Trafilatura
// alone, favouring recall, reaches .767 on these pages.
const wcxbFloor = 0.80

type wcxbPage struct {
	Type    string   `json:"type"`
	URL     string   `json:"url"`
	Text    string   `json:"text"`
	With    []string `json:"with"`
	Without []string `json:"without"`
}

// wcxbScore sums one page type.
type wcxbScore struct {
	pages             int
	f1                float64
	with, withFound   int
	without, withoutP int
	spent             time.Duration
}

// TestWCXB reports how well the main text of real pages is found: word-multiset
// F1, macro mean, overall and by page type, and the share of snippets kept that
// must be kept, and left out that must be left out.
func TestWCXB(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(wcxbDirEnv)
	if dir == "" {
		t.Skipf("%s is not set: it names the folder with WCXB's pages.json and html/", wcxbDirEnv)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "pages.json"))
	require.NoError(t, err)
	var pages map[string]wcxbPage
	require.NoError(t, json.Unmarshal(raw, &pages))
	scores := map[string]*wcxbScore{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	ids := make(chan string)
	for range 2 {
		wg.Go(func() {
			for id := range ids {
				page := pages[id]
				score := scoreWCXB(page, mustGunzip(t, filepath.Join(dir, "html", id+".html.gz")))
				mu.Lock()
				for _, name := range []string{"all", page.Type} {
					if scores[name] == nil {
						scores[name] = &wcxbScore{}
					}
					scores[name].add(score)
				}
				mu.Unlock()
			}
		})
	}
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		ids <- id
	}
	close(ids)
	wg.Wait()
	for _, name := range slices.Sorted(maps.Keys(scores)) {
		s := scores[name]
		t.Logf("%-14s %3d pages  F1 %.3f  kept %.3f  left out %.3f  %s a page", name, s.pages, s.f1/float64(s.pages),
			share(s.withFound, s.with), 1-share(s.withoutP, s.without), (s.spent / time.Duration(s.pages)).Round(time.Millisecond))
	}
	require.GreaterOrEqual(t, scores["all"].f1/float64(scores["all"].pages), wcxbFloor)
}

func (s *wcxbScore) add(o wcxbScore) {
	s.pages += o.pages
	s.f1 += o.f1
	s.with += o.with
	s.withFound += o.withFound
	s.without += o.without
	s.withoutP += o.withoutP
	s.spent += o.spent
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func scoreWCXB(page wcxbPage, body []byte) wcxbScore {
	pageURL := page.URL
	if pageURL == "" {
		pageURL = "https://example.com/"
	}
	start := time.Now()
	doc, err := readHTML(decode(body, typeHTML), pageURL)
	score := wcxbScore{pages: 1, spent: time.Since(start)}
	if err != nil {
		return score
	}
	text := unmarked(doc.markdown)
	score.f1 = wordF1(words(text), words(page.Text))
	flat := strings.Join(words(text), " ")
	count := func(snippets []string) (n, found int) {
		for _, snippet := range snippets {
			n++
			if strings.Contains(flat, strings.Join(words(snippet), " ")) {
				found++
			}
		}
		return n, found
	}
	score.with, score.withFound = count(page.With)
	score.without, score.withoutP = count(page.Without)
	return score
}

var headingIDs = regexp.MustCompile(`(?m) \{#\S+\}$`)

// unmarked is Markdown without the marks whose letters are no text of the page.
func unmarked(markdown string) string {
	return regexp.MustCompile("(?m)^```\\S*$").ReplaceAllString(headingIDs.ReplaceAllString(markdown, ""), "")
}

var word = regexp.MustCompile(`[\p{L}\p{N}]+`)

func words(s string) []string { return word.FindAllString(strings.ToLower(s), -1) }

// wordF1 compares two texts as multisets of words.
func wordF1(got, want []string) float64 {
	if len(got) == 0 && len(want) == 0 {
		return 1
	}
	counts := map[string]int{}
	for _, w := range want {
		counts[w]++
	}
	both := 0
	for _, w := range got {
		if counts[w] > 0 {
			counts[w]--
			both++
		}
	}
	return 2 * float64(both) / float64(len(got)+len(want))
}

func mustGunzip(tb testing.TB, path string) []byte {
	tb.Helper()
	f, err := os.Open(path)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(tb, err)
	raw, err := io.ReadAll(z)
	require.NoError(tb, err)
	return raw
}
