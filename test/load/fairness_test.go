package load

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"runa/schemas"
	"runa/test/harness"
)

const (
	// slots of each worker are fewer than the flood's turns, so that it fills
	// them. A turn waits for the next of them that is free at each of its three
	// steps: the fewer, the longer.
	slots = "16"
	// callTime is how long a call of a tool takes: as long as models take too.
	// With shorter calls the flood would be drained as fast as the processors
	// allow, and a turn beside it would wait for them and not for its share.
	callTime = 2 * time.Second
	// asked is how many turns of the quiet product are timed at a time.
	asked = 40
	// crawled is how many pages the busy product's site has.
	crawled = 5000
	// moved is how much more a turn may take beside the flood.
	moved = 1.25
)

var flooded = flag.Int("flooded", 5000, "how many turns of the busy product wait in BenchmarkFairShares")

// BenchmarkFairShares measures the turns of one product alone, beside the flood
// of another's turns, and beside its crawl. It fails when they take a quarter
// longer.
func BenchmarkFairShares(b *testing.B) {
	for range b.N {
		l := separate(b, "--turn-slots", slots)
		quiet := harness.NewProduct(b, l.apis, "prod_quiet", callTime)
		busy, crawling := harness.NewProduct(b, l.apis, "prod_busy", callTime), harness.NewProduct(b, l.apis, "prod_crawling", 0)
		quiet.Open()
		fmt.Printf("\n%s\n\n| a product's turn of one call of %s | p50 ms | p95 ms | p95 as a ratio | load average |\n|---|---|---|---|---|\n", machine(), callTime)
		closedLoop(quiet, asked/6)
		alone := show(b, "alone", closedLoop(quiet, asked), 0)

		source := crawling.Crawl(harness.NewSite(b, crawled, 0))
		beside := closedLoop(quiet, asked)
		now := crawling.Source(source.ID)
		if now.Status != schemas.SourceIndexing {
			b.Error("the crawl was over too early")
		}
		show(b, fmt.Sprintf("while another product's site of %d pages is crawled (%d indexed by then)", crawled, now.Pages.Indexed), beside, alone)
		crawling.Delete(source.ID)

		began := time.Now()
		waiting := busy.Flood(*flooded)
		rate := float64(*flooded) / time.Since(began).Seconds()
		busy.Open()
		beside = closedLoop(quiet, asked)
		if last := waiting[len(waiting)-2*asked:]; busy.Ended(last) == len(last) {
			b.Error("the flood was over too early")
		}
		show(b, fmt.Sprintf("while %d turns of another product wait, taken in at %.0f a second", *flooded, rate), beside, alone)
	}
}

// closedLoop times turns, each sent when the one before has ended.
func closedLoop(p *harness.Product, n int) (times []time.Duration) {
	for range n {
		began := time.Now()
		p.Send(110)
		times = append(times, time.Since(began))
	}
	return times
}

func show(b *testing.B, what string, times []time.Duration, alone float64) (p95 float64) {
	b.Helper()
	p95 = quantile(times, .95)
	ratio := "1"
	if alone > 0 {
		ratio = fmt.Sprintf("%.2f", p95/alone)
		if p95 > moved*alone {
			b.Errorf("%s: p95 is %s of what it is alone", what, ratio)
		}
	}
	fmt.Printf("| %s | %.0f | %.0f | %s | %s |\n", what, quantile(times, .5), p95, ratio, loadAverage())
	return p95
}
