package search

import "strings"

// stopWords are left out of a question. Questions to a help centre are full of
// words that say how one asks and not what about; the list is therefore much
// longer than the usual one. Documents keep all their words.
var stopWords = wordSet(`
a about above according across actually after again against all almost alone along already also although always am among an and
another any anybody anyone anything anyway anywhere apparently are around as ask asked asking at available away
back based basically be became because become becomes been before began being below beside besides best better between
beyond both but by
came can cannot cant certain certainly clear clearly come comes could couldnt currently
d describe described despite detail details determine determined did didnt different difficult do does doesnt doing done dont down
due during
each easily easy effectively either else enough entirely especially etc even ever every everybody everyone
everything everywhere exactly example examples except exist existing exists explain explained
far few find finding first follow following for found from fully further
gave general generally get gets getting give given gives giving go goes going gone good got great
had happen happened happens hardly has hasnt have havent having he hello help helps hence her here hers herself hey hi him himself
his hope how however
i id ie if im in indeed instead into is isnt it its itself ive
just
keep kind kindly know known
large largely later least less let lets like likely ll look looking looks lot
m made main mainly make makes making many may maybe me mean means might mine more most mostly much must my myself
namely near nearly necessary need needed needs neither never nevertheless new next no nobody none nor not nothing now nowhere
obtain obtained obviously of off often oh ok okay on once one ones only onto or other others otherwise ought our ours
ourselves out over own
particular particularly per perhaps please possible possibly practical present presented previously probably problem
problems properly provide provided provides
question questions quite
rather re real really reasonable recently regarding related relatively respectively right
s said same saw say says see seem seemed seems seen several shall she should shouldnt show showed shown shows
similar simple simply since so some somebody someone something sometimes somewhere soon sorry still such suggest suggested sure
t take taken takes tell than thank thanks that thats the their theirs them themselves then there theres therefore
these they theyre thing things think this those though through throughout thus to together too toward towards tried tries
try trying turn two
under unfortunately unless until up upon us use used useful user_asks uses using usually
various ve very via
want wanted wants was wasnt way ways we well went were werent what whatever whats when whenever where whereas wherever
whether which while who whoever whole whom whose why will wish with within without wonder wondering wont work
works would wouldnt
yes yet you your youre yours yourself yourselves
`)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}
