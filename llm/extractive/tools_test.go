package extractive_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/llm"
)

func tool(name, description, parameters string) llm.Tool {
	return llm.Tool{Name: name, Description: description, Parameters: json.RawMessage(parameters)}
}

var (
	revenue = tool("get_revenue", "Returns revenue for a period", `{
		"type":"object","required":["period"],"properties":{
			"period":{"type":"string","description":"Month as YYYY-MM or quarter as YYYY-Qn"},
			"params":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"value":{"type":"string"}}}}}}`)
	lookup = tool("lookup_user", "Looks up a user by email address", `{
		"type":"object","required":["email"],"properties":{"email":{"type":"string","format":"email"}}}`)
	invoices = tool("listInvoices", "List invoices, optionally by status and date range", `{
		"type":"object","properties":{
			"status":{"type":"string","enum":["open","paid","overdue"]},
			"from":{"type":"string","format":"date"},"to":{"type":"string","format":"date"},
			"limit":{"type":"integer","minimum":1,"maximum":100},
			"include_drafts":{"type":"boolean"}}}`)
	order = tool("get_order", "Get the status of an order", `{
		"type":"object","required":["orderId"],"properties":{"orderId":{"type":"string"}}}`)
	cancel = tool("cancel_order", "Cancels an order", `{
		"type":"object","required":["order_id"],"properties":{"order_id":{"type":"string"},"reason":{"type":"string"}}}`)
	weather = tool("get_weather", "Current weather for a city", `{
		"type":"object","required":["city"],"properties":{"city":{"type":"string"},"units":{"type":"string","enum":["celsius","fahrenheit"],"default":"celsius"}}}`)
	ticket = tool("create_ticket", "Opens a support ticket", `{
		"type":"object","required":["subject"],"properties":{"subject":{"type":"string"},"priority":{"type":"string","enum":["low","normal","high"]}}}`)
	everything = []llm.Tool{revenue, lookup, invoices, order, cancel, weather, ticket}
)

// calls are messages and what must be called for them, "" for the knowledge;
// "?name" is a question back for the parameter.
var calls = []struct{ message, want string }{
	{"What was our revenue in March 2026?", `get_revenue {"period":"2026-03"}`},
	{"Show revenue for last quarter Q2 2026", `get_revenue {"period":"2026-Q2"}`},
	{"revenue for 2026-03", `get_revenue {"period":"2026-03"}`},
	{"How much revenue did we make in Jan 2026?", `get_revenue {"period":"2026-01"}`},
	{"Please show me the revenue of April 2026.", `get_revenue {"period":"2026-04"}`},
	{"can you tell me our revenue for the first quarter of 2026", `get_revenue {"period":"2026-Q1"}`},
	{"Compare revenue for March and April 2026", `get_revenue {"period":"2026-03"}; get_revenue {"period":"2026-04"}`},
	{"What were sales in May 2026?", `get_revenue {"period":"2026-05"}`},
	{"What was our revenue?", `?period`},
	{"Show me the revenue", `?period`},
	{"Look up ann@example.com", `lookup_user {"email":"ann@example.com"}`},
	{"Find the user bob.smith+test@mail.example.org please", `lookup_user {"email":"bob.smith+test@mail.example.org"}`},
	{"Who is the user with the email ann@example.com?", `lookup_user {"email":"ann@example.com"}`},
	{"Look up the user", `?email`},
	{"Look up users ann@example.com and bob@example.com", `lookup_user {"email":"ann@example.com"}; lookup_user {"email":"bob@example.com"}`},
	{"List open invoices", `listInvoices {"status":"open"}`},
	{"Show my overdue invoices", `listInvoices {"status":"overdue"}`},
	{"Show invoices from 2026-01-01 to 2026-03-31", `listInvoices {"from":"2026-01-01","to":"2026-03-31"}`},
	{"List paid invoices for March 2026", `listInvoices {"from":"2026-03-01","status":"paid","to":"2026-03-31"}`},
	{"Show the last 5 invoices", `listInvoices {"limit":5}`},
	{"List invoices since 2026-02-01", `listInvoices {"from":"2026-02-01"}`},
	{"List invoices and include drafts", `listInvoices {"include_drafts":true}`},
	{"List invoices without drafts", `listInvoices {"include_drafts":false}`},
	{"Where is order 4711?", `get_order {"orderId":"4711"}`},
	{"What's the status of order ORD-1009?", `get_order {"orderId":"ORD-1009"}`},
	{"order #1234 status", `get_order {"orderId":"1234"}`},
	{"Check the order", `?order id`},
	{"Cancel order 4711", `cancel_order {"order_id":"4711"}`},
	{"Please cancel my order ORD-7", `cancel_order {"order_id":"ORD-7"}`},
	{"Could you cancel the order?", `?order id`},
	{"What's the weather in Paris?", `get_weather {"city":"Paris"}`},
	{"Show me the weather for New York in fahrenheit", `get_weather {"city":"New York","units":"fahrenheit"}`},
	{`Create a ticket "Export is broken" with high priority`, `create_ticket {"priority":"high","subject":"Export is broken"}`},
	{"Open a support ticket: the export never ends", `create_ticket {"subject":"the export never ends"}`},
	{"Open a ticket", `?subject`},

	{"How do I export my data?", ``},
	{"What does the Pro plan cost?", ``},
	{"How do I cancel my subscription?", ``},
	{"How can I cancel an order?", ``},
	{"Can I cancel my order after payment?", ``},
	{"Where can I find my invoices?", ``},
	{"How do I look up a user by email?", ``},
	{"What is revenue recognition?", ``},
	{"How is revenue calculated in reports?", ``},
	{"Why is my invoice overdue?", ``},
	{"What happens to an order when a payment fails?", ``},
	{"How do I invite a user?", ``},
	{"How many users can I have on the Pro plan?", ``},
	{"Who can change the plan?", ``},
	{"Do you accept American Express?", ``},
	{"What is your refund policy?", ``},
	{"Tell me about webhooks", ``},
	{"Show me how to list invoices with the API", ``},
	{"What is the difference between an order and an invoice?", ``},
	{"Explain the user roles", ``},
	{"What is the rate limit?", ``},
	{"Where do I create an API key?", ``},
	{"Is there a free trial?", ``},
	{"I forgot my password", ``},
	{"Thanks!", ``},
}

func TestToolChoice(t *testing.T) {
	t.Parallel()
	for _, knowledge := range [][]llm.Passage{numbered(ledgerline), nil} {
		for _, c := range calls {
			r := ask(t, c.message, knowledge, everything...)
			if question, ok := strings.CutPrefix(c.want, "?"); ok {
				require.Empty(t, r.Calls, c.message)
				require.Contains(t, r.Text, "I need one more thing: "+question, c.message)
				continue
			}
			require.Equal(t, c.want, written(r.Calls), c.message)
			require.Equal(t, c.want == "", r.Text != "", c.message)
		}
	}
}

func written(calls []llm.Call) string {
	list := make([]string, len(calls))
	for i, c := range calls {
		list[i] = c.Name + " " + string(c.Arguments)
	}
	return strings.Join(list, "; ")
}

// Who names a month need not say that the revenue is monthly.
func TestUnitIsUnderstood(t *testing.T) {
	t.Parallel()
	monthly := tool("get_monthly_revenue", "Revenue of one month", `{"type":"object","required":["month"],"properties":{"month":{"type":"string"}}}`)
	require.Equal(t, `get_monthly_revenue {"month":"2026-03"}`, written(ask(t, "What was revenue in March 2026?", nil, monthly).Calls))
}

// A period is written as the schema says, or asked for.
func TestPeriods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ property, message, want string }{
		{`"period":{"type":"string"}`, "revenue for March 2026", `{"period":"2026-03"}`},
		{`"period":{"type":"string"}`, "revenue for 2025", `{"period":"2025"}`},
		{`"period":{"type":"string"}`, "revenue on 5 March 2026", `{"period":"2026-03-05"}`},
		{`"period":{"type":"string","pattern":"^\\d{4}-\\d{2}$"}`, "revenue for March 2026", `{"period":"2026-03"}`},
		{`"period":{"type":"string","pattern":"^\\d{4}-\\d{2}$"}`, "revenue for Q2 2026", ``},
		{`"period":{"type":"string","pattern":"^Q[1-4] \\d{4}$"}`, "revenue for Q2 2026", `{"period":"Q2 2026"}`},
		{`"period":{"type":"string","description":"like Q1-2026"}`, "revenue for the second quarter of 2026", `{"period":"Q2-2026"}`},
		{`"period":{"type":"string","examples":["2026-01"]}`, "revenue for Mar 2026", `{"period":"2026-03"}`},
		{`"day":{"type":"string","format":"date"}`, "revenue on March 5th, 2026", `{"day":"2026-03-05"}`},
		{`"day":{"type":"string","format":"date"}`, "revenue in March 2026", ``},
		{`"start":{"type":"string","format":"date-time"}`, "revenue since March 2026", `{"start":"2026-03-01T00:00:00Z"}`},
		{`"end_date":{"type":"string","format":"date"}`, "revenue until February 2024", `{"end_date":"2024-02-29"}`},
		{`"year":{"type":"integer"}`, "revenue in 2026", `{"year":2026}`},
		{`"month":{"type":"integer"}`, "revenue in March 2026", `{"month":3}`},
		{`"month":{"type":"integer"}`, "revenue in 2026", ``},
		{`"period":{"type":"string"}`, "revenue last month", ``},
		{`"range":{"type":"object","properties":{"from":{"type":"string","format":"date"},"to":{"type":"string","format":"date"}},"required":["from","to"]}`, "revenue from 2026-01-01 to 2026-01-31", `{"range":{"from":"2026-01-01","to":"2026-01-31"}}`},
	} {
		name := c.property[1 : 1+strings.IndexByte(c.property[1:], '"')]
		get := tool("get_revenue", "Returns revenue", `{"type":"object","required":["`+name+`"],"properties":{`+c.property+`}}`)
		r := ask(t, "Show "+c.message, nil, get)
		if c.want == "" {
			require.Empty(t, r.Calls, "%+v", c)
			require.Contains(t, r.Text, "one more thing", "%+v", c)
			continue
		}
		require.Len(t, r.Calls, 1, "%+v", c)
		require.Equal(t, c.want, string(r.Calls[0].Arguments), "%+v", c)
	}
}

func TestPlaceholderTool(t *testing.T) {
	t.Parallel()
	user := tool("get_user", "Fetches a user", `{"type":"object","required":["userId"],"properties":{
		"userId":{"type":"string"},
		"params":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"value":{"type":"string"}},"required":["name","value"]}}}}`)
	require.Equal(t, `get_user {"userId":"42"}`, written(ask(t, "Show user 42", nil, user).Calls))
	require.Equal(t, `get_user {"userId":"usr_9f"}`, written(ask(t, "show me the user usr_9f", nil, user).Calls))
	require.Contains(t, ask(t, "Show the user", nil, user).Text, "user id")
	all := tool("list_users", "Lists users", ``)
	require.Equal(t, `list_users {}`, written(ask(t, "List the users", nil, all).Calls))
}

// A user who was asked back answers with the value alone, or goes on with
// another.
func TestArgumentsOfFollowUp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"March 2026", "for March 2026 please", "And March 2026?"} {
		r := generate(t, &llm.Request{Tools: everything, Messages: []llm.Message{
			{Role: llm.RoleUser, Text: "What was our revenue?"},
			{Role: llm.RoleModel, Text: "Which period?"},
			{Role: llm.RoleUser, Text: text},
		}})
		require.Equal(t, `get_revenue {"period":"2026-03"}`, written(r.Calls), text)
	}
}

func TestLongMessage(t *testing.T) {
	t.Parallel()
	r := ask(t, "Find the user ann@example.com. This is the log:\n"+strings.Repeat("17:03 ü failed\n", 15_000), nil, everything...)
	require.Equal(t, `lookup_user {"email":"ann@example.com"}`, written(r.Calls))
}

// A call that was made in the turn is not made again.
func TestSameCallOnce(t *testing.T) {
	t.Parallel()
	r := generate(t, &llm.Request{Tools: everything, Messages: []llm.Message{
		{Role: llm.RoleUser, Text: "Show revenue for March and April 2026"},
		{Role: llm.RoleModel, Calls: []llm.Call{{ID: "c1", Name: "get_revenue", Arguments: json.RawMessage(`{ "period": "2026-03" }`)}}},
	}})
	require.Equal(t, `get_revenue {"period":"2026-04"}`, written(r.Calls))
}

// Schemas come from users: none of them, however odd, may break the model.
func FuzzSchema(f *testing.F) {
	f.Add("Show revenue 5 for March 2026", `{"type":"object","properties":{"":{"type":["string","null"]},"a":true,"b":{"enum":[1,null,{}]}},"required":["","zz"]}`)
	f.Add("get it \"x\" ann@b.co ORD-1", `{"properties":{"it":{"type":"array","items":{"type":"string"}},"n":{"type":"integer","default":1}},"required":["it"]}`)
	f.Fuzz(func(t *testing.T, message, parameters string) {
		r := ask(t, message, nil, tool("get_it", "Gets the revenue", parameters))
		for _, c := range r.Calls {
			var args map[string]any
			require.NoError(t, json.Unmarshal(c.Arguments, &args))
		}
	})
}
