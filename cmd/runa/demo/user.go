package demo

import (
	"net/http"
	"strings"
)

// user is the answer of find_user.
type user struct {
	Email string `json:"email"`
	Name  string `json:"name"`
	Plan  string `json:"plan"`
	Role  string `json:"role"`
	// LastSeen is RFC 3339, UTC.
	LastSeen string `json:"lastSeen"`
}

var users = []user{
	{"maria.chen@northwind.example", "Maria Chen", "Pro", "Owner", "2026-03-24T08:41:00Z"},
	{"tom.okafor@northwind.example", "Tom Okafor", "Pro", "Analyst", "2026-03-23T16:05:00Z"},
	{"lena.vogt@brightpath.example", "Lena Vogt", "Enterprise", "Admin", "2026-03-24T11:17:00Z"},
	{"sam.rivera@tinytools.example", "Sam Rivera", "Starter", "Owner", "2026-02-11T19:30:00Z"},
	{"aisha.khan@brightpath.example", "Aisha Khan", "Enterprise", "Billing", "2026-03-02T09:00:00Z"},
}

func serveUser(w http.ResponseWriter, r *http.Request) {
	email := r.PathValue("email")
	for _, u := range users {
		if strings.EqualFold(u.Email, email) {
			writeJSON(w, http.StatusOK, u)
			return
		}
	}
	writeError(w, http.StatusNotFound, "no user has the e-mail address "+email)
}
