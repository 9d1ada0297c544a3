package analytics

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestIntentOfTools(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tools []string
		want  string
	}{
		{[]string{"get_revenue"}, "get_revenue"},
		{[]string{"getRevenue", "find_user"}, "get_revenue"},
		{[]string{"GetRevenueByQuarter"}, "get_revenue_by_quarter"},
		{[]string{"get-revenue"}, "get_revenue"},
		{[]string{"GET_REVENUE"}, "get_revenue"},
		{[]string{"parseHTTPRequest"}, "parse_http_request"},
		{[]string{"listUsersV2"}, "list_users_v2"},
		{[]string{"oauth2Login"}, "oauth2_login"},
		{[]string{"__x__"}, "x"},
		{[]string{"___", "find_user"}, "find_user"},
		{[]string{strings.Repeat("a", 64)}, strings.Repeat("a", 64)},
		{[]string{strings.Repeat("a", 63) + "Bc"}, strings.Repeat("a", 63)},
		{[]string{"_"}, "refund_policy"},
	} {
		require.Equal(t, test.want, Intent("What is the refund policy?", test.tools), "%v", test.tools)
	}
}

func TestIntentOfMessage(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		// Questions.
		"How do I export my data as CSV?":                      "export_data_csv",
		"What does the Pro plan cost?":                         "pro_plan_cost",
		"Hi there! Could you please tell me how to add users?": "add_user",
		"What's the API rate limit on the Pro plan?":           "api_rate_limit",
		"Show me revenue for March":                            "revenue_march",
		"where can I find my invoices":                         "find_invoice",
		"I don't know how to cancel":                           "cancel",
		"Why can’t I log in?":                                  "log",
		"How do I set up single sign-on?":                      "set_single_sign",
		"How does two-factor authentication work?":             "two_factor_authentication",
		"DELETE my account!!!":                                 "delete_account",
		"webhooks, webhooks, webhooks":                         "webhook",
		// Plurals.
		"invoices":                     "invoice",
		"Change billing addresses":     "change_billing_address",
		"taxes and currencies":         "tax_currency",
		"the status of sales analysis": "status_sales_analysis",
		"SaaS APIs over HTTPS":         "saas_api_https",
		// Nothing left.
		"":                        "other",
		"   ":                     "other",
		"What can you do for me?": "other",
		"Hello":                   "other",
		"?!… --- ❤️":              "other",
		// Digits.
		"error 404 on the dashboard":                       "error_404_dashboard",
		"OAuth2 and 2FA with SHA256":                       "oauth2_2fa_sha256",
		"i18n and k8s":                                     "i18n_k8s",
		"is the file UTF-8":                                "file_utf",
		"Where is order 20481234?":                         "order",
		"card 4111 1111 1111 1111 declined":                "card_declined",
		"card 4111-1111-1111-1111 declined":                "card_declined",
		"call +1 (555) 123-4567 now":                       "call",
		"call 555 123-4567":                                "call",
		"born on 12/03/1984":                               "born",
		"invoice INV-2041":                                 "invoice_inv",
		"turn a1b2c3d4 failed":                             "turn_failed",
		"key runa_live_8fKq2LmZ0pWx7 leaked":               "key_leaked",
		"delete 550e8400-e29b-41d4-a716-446655440000":      "delete",
		"delete sess_01h2xcejqtf2nbrexx3vqjhp41":           "delete",
		"token aGVsbG8gd29ybGQgdGhpcyBpcyBsb25n is broken": "token_broken",
		// Addresses.
		"What role has maria.chen@northwind.example?":  "role",
		"mail (joe@x.co) or <mailto:joe@x.co>":         "mail",
		"crawl https://docs.acme.com/secret?q=1 again": "crawl",
		"does www.acme.com load":                       "load",
		"is acme.io/login slow?":                       "slow",
		"import report.csv":                            "import_report_csv",
		"@maria left":                                  "left",
		// Other languages.
		"Wie exportiere ich Rechnungen": "wie_exportiere_ich",
		"Résumé de l'export":            "résumé_de_export",
		"データ出力":                         "データ出力",
	} {
		require.Equal(t, want, Intent(message, nil), "%q", message)
	}
}

func TestIntentIsShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", maxWord)
	require.Equal(t, long+"_"+strings.Repeat("a", maxWord), Intent(long+" "+strings.Repeat("a", maxWord)+" "+strings.Repeat("b", maxWord), nil),
		"a word that does not fit is left out whole")
	require.Equal(t, "other", Intent(strings.Repeat("x", maxWord+1), nil))
	require.Equal(t, "other", Intent(strings.Repeat("the ", 100_000)+"invoice", nil), "the end of a very long message is not looked at")
}

var longNumber = regexp.MustCompile(`\d{5}|(^|_)\d+_\d+(_|$)`)

func FuzzIntent(f *testing.F) {
	f.Add("How do I export my data as CSV?", "")
	f.Add("card 4111 1111 1111 1111 of joe@x.co", "")
	f.Add("", "getRevenueByQuarter")
	f.Add("\xff\xfe 5️⃣ İstanbul ١٢٣٤٥٦", "")
	f.Fuzz(func(t *testing.T, message, tool string) {
		intent := Intent(message, nil)
		require.Equal(t, intent, Intent(message, nil))
		require.NotEmpty(t, intent)
		require.True(t, utf8.ValidString(intent))
		require.LessOrEqual(t, utf8.RuneCountInString(intent), maxIntent)
		require.NotRegexp(t, longNumber, intent)
		for _, r := range intent {
			require.True(t, r == '_' || isWordRune(r), "%q in %q", r, intent)
		}
		require.LessOrEqual(t, utf8.RuneCountInString(Intent(message, []string{tool})), maxIntent)
	})
}
