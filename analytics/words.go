package analytics

import "strings"

// stopWords are the words of a question that do not say what it is about.
var stopWords = setOf(`
	a an the this that these those there here
	i me my mine myself we us our ours ourselves you your yours yourself he him his she her hers it its they them their theirs
	who whom whose which what when where why how whether
	am is are was were be been being isnt arent wasnt werent im ive id youre theyre thats whats
	do does did done doing dont doesnt didnt
	has have had having havent hasnt hadnt
	can could cant cannot couldnt may might must shall should shouldnt will wont would wouldnt
	and or but nor so yet if then else than because while until since though although unless
	of in on at by for with without within about against between into through during before after above below
	to from up down out off over under again further via per as like onto upon across toward towards
	no not none only own same too very just also still already ever never always sometimes usually often now today currently
	all any both each few more most other others another some such many much lot lots several every everything anything something nothing
	one ones first someone somebody anyone anybody everyone
	hi hello hey dear greetings morning afternoon evening please thanks thank thx cheers sorry ok okay yes yeah yep sure well oh hmm
	want wants wanted wanna need needs needed trying try tried wish looking look going go gonna gotta got get gets getting
	know knows understand wonder wondering think guess believe see say says said tell tells told ask asking
	explain describe show shows give gives gave help helps helping let lets make makes made making take takes
	able possible possibly way ways thing things kind kinds sort bit really actually basically simply quickly easily exactly
	use uses used using work works working happen happens happening seem seems mean means
	question questions answer info information detail details regarding concerning
	long often far big good best better right new quick etc eg ie vs
	youd wed theyll ill hows wheres whens whos whys
`)

// contractions stand after an apostrophe and carry no meaning.
var contractions = setOf(`s re ll ve d m`)

// notPlural end in a single s and are no plurals.
var notPlural = setOf(`
	saas paas iaas https analytics mathematics canvas alias bias always series kubernetes news lens
	sales basis analysis axis synopsis diagnosis emphasis redis
`)

// commonDomains end a domain name more often than a file name or a sentence.
var commonDomains = setOf(`com org net io co dev app ai edu gov info biz cloud tech uk de fr eu ca au nl es ch se jp cn br example test local`)

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}
