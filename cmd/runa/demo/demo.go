// Package demo is Ledgerline, a made-up SaaS product for revenue and
// subscription analytics: a help centre to crawl and two endpoints to call.
// With it, `runa serve --demo` shows everything without anything of one's own.
// It is a customer of Runa, not a part of it: Runa reaches it over HTTP only.
package demo

import (
	"encoding/json"
	"net/http"

	"runa/schemas"
)

// Handler serves the help centre below /help/, robots.txt, sitemap.xml and the
// tools' endpoints below /api/. Addresses in it are made from the request's
// Host, so it may stand behind any address.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler(helpRoot, http.StatusFound))
	mux.Handle("GET /help", http.RedirectHandler(helpRoot, http.StatusMovedPermanently))
	mux.HandleFunc("GET /help/", serveHelp)
	mux.HandleFunc("GET /assets/help.css", serveStyle)
	mux.HandleFunc("GET /robots.txt", serveRobots)
	mux.HandleFunc("GET /sitemap.xml", serveSitemap)
	mux.HandleFunc("GET /api/revenue", serveRevenue)
	mux.HandleFunc("GET /api/users/{email}", serveUser)
	return mux
}

// Source is the help centre as a body of POST /v1/knowledge. baseURL is where
// Handler is served, without a slash at its end.
func Source(baseURL string) schemas.SourceSpec {
	noDelay := 0
	return schemas.SourceSpec{
		Type:  schemas.SourceURL,
		URL:   baseURL + helpRoot,
		Name:  "Ledgerline Help",
		Crawl: schemas.CrawlOptions{DelayMs: &noDelay},
	}
}

// Tools are the endpoints as bodies of POST /v1/tools. One describes its
// parameters with a JSON Schema, the other with a placeholder alone.
func Tools(baseURL string) []schemas.ToolSpec {
	return []schemas.ToolSpec{
		{
			Name:        "get_revenue",
			Description: "Get the revenue of a month, quarter or year: the revenue in US dollars and the numbers of new and lost customers.",
			Endpoint:    baseURL + "/api/revenue",
			Method:      http.MethodGet,
			Parameters:  json.RawMessage(revenueParameters),
		},
		{
			Name:        "find_user",
			Description: "Find a user of Ledgerline by e-mail address: name, plan, role and when the user was last seen.",
			Endpoint:    baseURL + "/api/users/{email}",
			Method:      http.MethodGet,
		},
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone; there is nobody to tell
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}
