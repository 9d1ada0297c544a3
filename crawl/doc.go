// Package crawl reads web sites: what a host allows (robots), which pages it
// names (sitemap), one page at a time (fetch), the text that matters on it
// (extract), and that text in passages fit for retrieval (split).
//
// It treats every byte it reads as hostile: each step has a limit, and a page
// that cannot be read says why. It is not a crawler: which page is next, how
// often a host is asked, what was seen before and where passages are kept are
// for the caller, and whether an address may be dialled is for the HTTP client
// that the caller passes in.
package crawl
