package activities_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/activities"
	"runa/schemas"
)

// pages are n passages; the i-th has its number as title.
func pages(n int) []schemas.Hit {
	passages := make([]schemas.Hit, n)
	for i := range passages {
		number := strconv.Itoa(i + 1)
		passages[i] = schemas.Hit{SourceID: "ks_1", DocumentID: "doc_" + number, URL: "http://help.test/" + number, Title: number, Heading: "h"}
	}
	return passages
}

func TestCite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		text   string
		titles []string
	}{
		"":                             {"", []string{}},
		"No marker.":                   {"No marker.", []string{}},
		"One [1].":                     {"One [1].", []string{"1"}},
		"Numbered anew [3].":           {"Numbered anew [1].", []string{"3"}},
		"By first use [2], [1], [2].":  {"By first use [1], [2], [1].", []string{"2", "1"}},
		"Side by side [2][1]":          {"Side by side [1][2]", []string{"2", "1"}},
		"Of nothing [9] and [0].":      {"Of nothing and.", []string{}},
		"Too long [99999999999999999]": {"Too long", []string{}},
		"Leading zero [02].":           {"Leading zero [1].", []string{"2"}},
		"Not one [a] [1a] [ 1 ] []":    {"Not one [a] [1a] [ 1 ] []", []string{}},
		"Negative [-1].":               {"Negative [-1].", []string{}},
		"New line\n[1]":                {"New line\n[1]", []string{"1"}},
		"Nested [[1]].":                {"Nested [[1]].", []string{"1"}},
		"Joined [[0]1] [1[9]] [9[0]]":  {"Joined [ 1] [1 ] [9 ]", []string{}},
		"Grün [3] geht [9] es [1] gut": {"Grün [1] geht es [2] gut", []string{"3", "1"}},
	} {
		got, citations := activities.Cite(text, pages(3))
		require.Equal(t, want.text, got, "%q", text)
		titles := []string{}
		for _, c := range citations {
			titles = append(titles, c.Title)
		}
		require.Equal(t, want.titles, titles, "%q", text)
	}
}

var number = regexp.MustCompile(`\[(\d+)\]`)

func FuzzCite(f *testing.F) {
	for _, seed := range []string{"One [1].", "[2][1]", "[9", "[[3]] [0] [12]", "a\n[1]\t[2]", "[1][1[1]1]", "[9[1]]", "[[0]1]"} {
		f.Add(seed, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		got, citations := activities.Cite(text, pages(int(n)))
		require.LessOrEqual(t, len(citations), int(n))
		seen := map[string]bool{}
		for _, c := range citations {
			require.False(t, seen[c.DocumentID], "cited twice")
			seen[c.DocumentID] = true
		}
		next := 1
		for _, m := range number.FindAllStringSubmatch(got, -1) {
			i, err := strconv.Atoi(m[1])
			require.NoError(t, err, "%q of %q", got, text)
			require.GreaterOrEqual(t, len(citations), i, "%q of %q: a number names a citation", got, text)
			require.LessOrEqual(t, i, next, "%q: numbered by first use", got)
			next = max(next, i+1)
		}
		require.Equal(t, len(citations)+1, next, "%q: each citation is used", got)
	})
}
