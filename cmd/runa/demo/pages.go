package demo

import (
	"embed"
	"html/template"
)

const (
	helpRoot     = "/help/"
	internalRoot = "/help/internal/" // robots.txt disallows it
)

// page is an article. Its body is a fragment of HTML in pages/.
type page struct {
	Path    string
	File    string
	Title   string
	Summary string
	// Updated is a date, YYYY-MM-DD.
	Updated string
}

// section is a group of articles in the sidebar.
type section struct {
	Name  string
	Pages []page
}

// sections are the articles in the order of the sidebar; the sitemap lists
// exactly these.
var sections = []section{
	{"Getting started", []page{
		article("index", "Ledgerline help centre", "Everything about revenue and subscription analytics with Ledgerline.", "2026-03-24"),
		article("importing-data", "Importing data", "Connect Stripe and other payment providers, or import customers and payments from a CSV file.", "2026-03-18"),
		article("dashboards", "Dashboards and alerts", "Create, share and understand dashboards, and be told when a figure changes.", "2026-03-11"),
	}},
	{"Account and billing", []page{
		article("pricing", "Pricing and plans", "What Starter, Pro and Enterprise cost and include, the free trial and discounts.", "2026-03-24"),
		article("billing-and-invoices", "Billing and invoices", "Payment methods, invoices, changing plans, refunds and cancelling.", "2026-03-02"),
		article("users-and-roles", "Users and roles", "Invite and remove users, change roles, transfer a workspace and require a second factor.", "2026-02-19"),
		article("single-sign-on", "Single sign-on (SSO)", "Sign in with Okta, Entra ID, Google Workspace and others by SAML, OpenID Connect and SCIM.", "2026-02-26"),
		article("delete-account", "Deleting your account or workspace", "How to delete an account or a workspace, what is kept, and requests under the GDPR.", "2026-01-30"),
	}},
	{"Data and developers", []page{
		article("exports", "Exporting data", "Export charts, tables and whole workspaces as CSV, XLSX, Parquet or PDF.", "2026-03-09"),
		article("api-keys", "API keys", "Create, use, rotate and revoke API keys, and what each scope allows.", "2026-03-16"),
		article("api-rate-limits", "API rate limits", "How many requests each plan allows and what to do after status 429.", "2026-03-16"),
		article("webhooks", "Webhooks", "Receive events, verify their signature, and how failed deliveries are repeated.", "2026-02-12"),
	}},
	{"Support", []page{
		article("troubleshooting", "Troubleshooting", "Wrong numbers, late data, sign-in problems and error codes.", "2026-03-20"),
	}},
}

func article(name, title, summary, updated string) page {
	path := helpRoot + name
	if name == "index" {
		path = helpRoot
	}
	return page{Path: path, File: "pages/" + name + ".html", Title: title, Summary: summary, Updated: updated}
}

// runbook is linked from an article, and crawlers must leave it alone.
var runbook = page{
	Path:    internalRoot + "runbook",
	File:    "pages/runbook.html",
	Title:   "Support runbook",
	Summary: "Notes for support staff.",
	Updated: "2026-03-05",
}

var notFound = page{Title: "Page not found", Summary: "There is no such page."}

const notFoundBody = `<p>There is no page at this address. The <a href="/help/">help centre</a> lists all articles.</p>`

var (
	//go:embed pages/*.html
	fragments embed.FS
	//go:embed layout.html
	layoutText string
	//go:embed help.css
	style []byte

	layout = template.Must(template.New("layout").Parse(layoutText))
)

// findPage returns the page at a path.
func findPage(path string) (page, bool) {
	for _, s := range sections {
		for _, p := range s.Pages {
			if p.Path == path {
				return p, true
			}
		}
	}
	return runbook, path == runbook.Path
}
