package extractive_test

import "runa/llm"

// ledgerline is the help centre of a made-up product that sends invoices.
var ledgerline = []llm.Passage{
	{
		Title: "Plans and pricing", Heading: "Plans and pricing > Compare plans", URL: "https://help.ledgerline.example/pricing",
		Text: `Ledgerline has three plans. All prices are per workspace and exclude tax.

| Plan | Price per month | Users | API requests per minute |
| --- | --- | --- | --- |
| Starter | $19 | 3 | 60 |
| Pro | $79 | 20 | 600 |
| Enterprise | from $499 | unlimited | 6000 |

You save two months when you pay yearly. Every new workspace starts with a free trial of 14 days on the Pro plan, and no credit card is needed.`,
	},
	{
		Title: "Plans and pricing", Heading: "Plans and pricing > Change your plan", URL: "https://help.ledgerline.example/pricing#change",
		Text: `Only the workspace owner can change the plan. To upgrade or downgrade:

1. Open **Settings → Plan**.
2. Choose the new plan.
3. Confirm with **Change plan**.

An upgrade takes effect at once and is charged pro rata. A downgrade takes effect at the end of the billing period.`,
	},
	{
		Title: "Billing", Heading: "Billing > Payment methods", URL: "https://help.ledgerline.example/billing",
		Text: `We accept Visa, Mastercard, American Express and SEPA direct debit. Bank transfer is offered on the Enterprise plan only. To change your card, go to **Settings → Billing** and select **Replace card**.

If a payment fails we try again after 3, 5 and 7 days. After the third failed attempt the workspace becomes read-only until the invoice is paid.`,
	},
	{
		Title: "Billing", Heading: "Billing > Refunds and cancellation", URL: "https://help.ledgerline.example/billing#refunds",
		Text: `You can cancel your subscription at any time under **Settings → Plan → Cancel subscription**. The workspace stays usable until the end of the paid period. Yearly plans are refunded in full within 30 days of the payment; monthly plans are not refunded. After cancellation we keep your data for 90 days, then it is deleted for good.`,
	},
	{
		Title: "Billing", Heading: "Billing > Receipts", URL: "https://help.ledgerline.example/billing#receipts",
		Text: `Receipts for your Ledgerline subscription are sent by e-mail on the first day of each month to the billing contact. You can also download them as PDF from **Settings → Billing → History**. To add a VAT number, fill in the field *Tax ID* on the same page.`,
	},
	{
		Title: "Users and roles", Heading: "Users and roles > Invite people", URL: "https://help.ledgerline.example/users",
		Text: `To invite a colleague:

1. Go to **Settings → People** and click **Invite**.
2. Enter the e-mail address and pick a role.
3. Click **Send invitation**.

An invitation expires after 7 days. Admins and the owner can send it again from the same page.`,
	},
	{
		Title: "Users and roles", Heading: "Users and roles > Roles", URL: "https://help.ledgerline.example/users#roles",
		Text: `There are four roles:

- **Owner**: everything, including the plan and deleting the workspace.
- **Admin**: manages people, integrations and settings.
- **Accountant**: sees all invoices and reports, and can export them.
- **Member**: creates and sends own invoices.

Ownership can be transferred by the owner under **Settings → People → Transfer ownership**.`,
	},
	{
		Title: "Sign-in and security", Heading: "Sign-in and security > Two-factor authentication", URL: "https://help.ledgerline.example/security",
		Text: `Turn on two-factor authentication in **Profile → Security**. We support authenticator apps and hardware keys; codes by SMS are not offered. If you lose your device, use one of the ten recovery codes that you were shown when you turned it on. Single sign-on with SAML is part of the Enterprise plan.

To reset a forgotten password, click **Forgot password?** on the sign-in page. The link in the e-mail is valid for 60 minutes.`,
	},
	{
		Title: "Export your data", Heading: "Export your data", URL: "https://help.ledgerline.example/exports",
		Text: `You can export invoices, customers and payments as CSV, XLSX or JSON.

1. Open **Reports → Exports**.
2. Choose what to export and the date range.
3. Click **Start export**.

Large exports run in the background: you get an e-mail with a download link, which works for 48 hours. An export holds at most 500,000 rows. Attachments are not part of an export.`,
	},
	{
		Title: "API", Heading: "API > Authentication", URL: "https://help.ledgerline.example/api",
		Text: "Create an API key in **Settings → Developers**. Send it in the `Authorization` header:\n\n```bash\ncurl https://api.ledgerline.example/v2/invoices \\\n  -H \"Authorization: Bearer $LEDGERLINE_KEY\"\n```\n\nA key is shown once. You can have up to 10 keys per workspace and revoke each of them at any time.",
	},
	{
		Title: "API", Heading: "API > Rate limits", URL: "https://help.ledgerline.example/api#limits",
		Text: `Requests above your plan's limit are answered with status 429 and a ` + "`Retry-After`" + ` header. The limit on the Pro plan is 600 requests per minute. Wait as long as the header says before you try again. Webhook deliveries do not count towards the limit.`,
	},
	{
		Title: "Webhooks", Heading: "Webhooks > Deliveries", URL: "https://help.ledgerline.example/webhooks",
		Text: `Webhooks tell your server when an invoice is sent, viewed or paid. Each delivery is signed with HMAC-SHA256 in the header ` + "`Ledgerline-Signature`" + `. A delivery that is not answered with a 2xx status within 10 seconds is repeated for 24 hours with growing pauses. After that it is marked as failed and can be sent again by hand.`,
	},
	{
		Title: "Troubleshooting", Heading: "Troubleshooting > Invoice e-mails do not arrive", URL: "https://help.ledgerline.example/troubleshooting",
		Text: `If your customer has not received an invoice, first check the status on the invoice page. *Bounced* means that the address does not exist. *Delivered* means that the mail server of the customer took it: ask them to look in the spam folder. To send from your own domain, add our SPF and DKIM records to your DNS.`,
	},
	{
		Title: "Troubleshooting", Heading: "Troubleshooting > Import errors", URL: "https://help.ledgerline.example/troubleshooting#import",
		Text: `The message "Row has too many columns" means that a value contains the separator without quotes. Save the file as UTF-8 CSV with commas. A file may be at most 25 MB; split larger files. Dates must be written as YYYY-MM-DD.`,
	},
}

// answerable are questions, the URL of the passage that answers and a phrase
// of the answer.
var answerable = []struct{ question, url, phrase string }{
	{"What does the Pro plan cost?", "/pricing", "$79"},
	{"How much is the Starter plan per month?", "/pricing", "$19"},
	{"Is there a free trial?", "/pricing", "14 days"},
	{"how long is the trial", "/pricing", "14 days"},
	{"Do I need a credit card for the trial?", "/pricing", "no credit card is needed"},
	{"How do I upgrade my plan?", "/pricing#change", "Settings → Plan"},
	{"Who can change the plan?", "/pricing#change", "workspace owner"},
	{"When does a downgrade take effect?", "/pricing#change", "end of the billing period"},
	{"Which payment methods do you accept?", "/billing", "Visa, Mastercard"},
	{"Can I pay by bank transfer?", "/billing", "Enterprise plan only"},
	{"How do I change my credit card?", "/billing", "Replace card"},
	{"What happens if a payment fails?", "/billing", "3, 5 and 7 days"},
	{"How can I cancel my subscription?", "/billing#refunds", "Cancel subscription"},
	{"What is your refund policy?", "/billing#refunds", "refunded in full within 30 days"},
	{"How long do you keep my data after cancellation?", "/billing#refunds", "90 days"},
	{"Where can I download my receipts?", "/billing#receipts", "Settings → Billing → History"},
	{"Where do I enter our VAT number?", "/billing#receipts", "Tax ID"},
	{"How do I invite a colleague?", "/users", "Send invitation"},
	{"how long is an invitation valid before it expires?", "/users", "7 days"},
	{"What can an accountant do?", "/users#roles", "sees all invoices and reports"},
	{"Which roles are there?", "/users#roles", "Accountant"},
	{"How do I transfer ownership of the workspace?", "/users#roles", "Transfer ownership"},
	{"Do you support SAML single sign-on?", "/security", "Enterprise plan"},
	{"How do I turn on two-factor authentication?", "/security", "Profile → Security"},
	{"I forgot my password, how do I reset it?", "/security", "**Forgot password?** on the sign-in page."},
	{"Can I get 2FA codes by SMS?", "/security", "not offered"},
	{"How do I export my data?", "/exports", "Start export"},
	{"How many rows can an export have?", "/exports", "500,000 rows"},
	{"Are attachments included in exports?", "/exports", "not part of an export"},
	{"How do I authenticate with the API?", "/api", "Authorization"},
	{"How many API keys can I have?", "/api", "10 keys"},
	{"What is the API rate limit on the Pro plan?", "/api#limits", "600 requests per minute"},
	{"Why do I get status 429?", "/api#limits", "above your plan's limit"},
	{"How are webhooks signed?", "/webhooks", "HMAC-SHA256"},
	{"How often is a failed webhook delivery repeated?", "/webhooks", "24 hours"},
	{"My customer did not receive the invoice email", "/troubleshooting", "spam folder"},
	{"What does 'Row has too many columns' mean?", "/troubleshooting#import", "separator without quotes"},
	{"What is the maximum size of an import file?", "/troubleshooting#import", "25 MB"},
}

// unanswerable are questions that Ledgerline's help centre does not answer,
// though it shares words with most of them.
var unanswerable = []string{
	"Do you integrate with Salesforce?",
	"What is the capital of France?",
	"Is Ledgerline HIPAA compliant?",
	"Can I run payroll for my employees?",
	"How do I change the logo on my dashboard?",
	"Do you have a mobile app for Android?",
	"What is the phone number of the sales department?",
	"How much does the Platinum plan cost?",
	"How do I merge two workspaces?",
	"Does the API support GraphQL?",
	"Who is the CEO of Ledgerline?",
	"How do I connect my Shopify store?",
	"Can I schedule a demo with an engineer?",
	"What is the weather like tomorrow?",
	"How do I add inventory items to the warehouse?",
	"In which data centre region is my data stored?",
}

// paraphrased are questions in words that the help centre hardly uses. They
// were written after the model was tuned on the others.
var paraphrased = []struct{ question, url, phrase string }{
	{"what's the price for Enterprise?", "/pricing", "$499"},
	{"do I get a discount if I pay annually", "/pricing", "two months"},
	{"How many users are included in the Pro plan?", "/pricing", "| Pro | $79 | 20"},
	{"when will I be charged after upgrading?", "/pricing#change", "pro rata"},
	{"can I pay with American Express?", "/billing", "American Express"},
	{"why is my workspace read-only?", "/billing", "third failed attempt"},
	{"can I get my money back?", "/billing#refunds", "refunded"},
	{"when do you delete my data?", "/billing#refunds", "90 days"},
	{"when are receipts emailed?", "/billing#receipts", "first day of each month"},
	{"How do I resend an invitation?", "/users", "send it again"},
	{"which role can manage integrations?", "/users#roles", "**Admin**"},
	{"I lost my phone with the authenticator app", "/security", "recovery codes"},
	{"how long is the password reset link valid?", "/security", "60 minutes"},
	{"which formats can I export to?", "/exports", "CSV, XLSX or JSON"},
	{"How long does the download link work?", "/exports", "48 hours"},
	{"How do I revoke an API key?", "/api", "revoke"},
	{"do webhooks count towards the rate limit?", "/api#limits", "do not count"},
	{"what is the timeout for webhook deliveries?", "/webhooks", "10 seconds"},
	{"invoice status bounced meaning", "/troubleshooting", "address does not exist"},
	{"what date format should I use when importing?", "/troubleshooting#import", "YYYY-MM-DD"},
}

// paraphrasedUnanswerable are their counterpart.
var paraphrasedUnanswerable = []string{
	"Can I use Ledgerline offline?",
	"How do I delete a customer?",
	"What is the SLA for the Enterprise plan?",
	"do you offer discounts for nonprofits?",
	"How do I print a packing slip?",
	"which currencies are supported?",
	"Do you support recurring invoices?",
	"how do I change the language of the interface?",
	"Is there a desktop app?",
	"how do I contact the press office?",
}
