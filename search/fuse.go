package search

// denseShare is what the nearness of vectors counts beside the words.
const denseShare = 0.5

// Fuse joins the candidates by words with those by vectors. Each list's scores
// are brought to 0 for its worst and 1 for its best; a chunk that a list has not
// got has 0 of it. Weighted sums of these have measured better than sums of
// reciprocal ranks, which let a weak list harm a strong one.
func Fuse(lexical, dense []Match) []Match {
	fused := make([]Match, 0, len(lexical)+len(dense))
	at := make(map[string]int, len(lexical))
	add := func(list []Match, share float64) {
		low, high := span(list)
		for _, m := range list {
			i, ok := at[m.ID]
			if !ok {
				i = len(fused)
				at[m.ID] = i
				fused = append(fused, Match{Chunk: m.Chunk})
			}
			scaled := 1.0
			if high > low {
				scaled = (m.Score - low) / (high - low)
			}
			fused[i].Score += share * scaled
		}
	}
	add(lexical, 1-denseShare)
	add(dense, denseShare)
	return fused
}

// span returns the lowest and the highest score.
func span(list []Match) (low, high float64) {
	for i, m := range list {
		if i == 0 || m.Score < low {
			low = m.Score
		}
		if i == 0 || m.Score > high {
			high = m.Score
		}
	}
	return low, high
}
