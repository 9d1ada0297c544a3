package demo

import (
	"net/http"
	"regexp"
	"strconv"
)

// period is a month (2026-03), a quarter (2026-Q1) or a year (2026).
var period = regexp.MustCompile(`^([0-9]{4})(?:-(0[1-9]|1[0-2])|-Q([1-4]))?$`)

// firstYear is when Ledgerline was founded.
const firstYear = 2022

const revenueParameters = `{
  "type": "object",
  "properties": {
    "period": {
      "type": "string",
      "description": "The period: a month as YYYY-MM, a quarter as YYYY-Qn or a year as YYYY, for example 2026-03, 2026-Q1 or 2026. The first is 2022.",
      "pattern": "^[0-9]{4}(-(0[1-9]|1[0-2])|-Q[1-4])?$"
    }
  },
  "required": ["period"],
  "additionalProperties": false
}`

// revenue is the answer of get_revenue; money is in whole US dollars.
type revenue struct {
	Period           string `json:"period"`
	Currency         string `json:"currency"`
	Revenue          int    `json:"revenue"`
	NewCustomers     int    `json:"newCustomers"`
	ChurnedCustomers int    `json:"churnedCustomers"`
}

func serveRevenue(w http.ResponseWriter, r *http.Request) {
	year, from, to, ok := months(r.URL.Query().Get("period"))
	switch {
	case !ok:
		writeError(w, http.StatusBadRequest, "period must be a month as YYYY-MM, a quarter as YYYY-Qn or a year as YYYY")
		return
	case year < firstYear:
		writeError(w, http.StatusBadRequest, "there is no revenue before "+strconv.Itoa(firstYear))
		return
	}
	total := revenue{Period: r.URL.Query().Get("period"), Currency: "USD"}
	for month := from; month <= to; month++ {
		total.addMonth(year, month)
	}
	writeJSON(w, http.StatusOK, total)
}

// months returns the months of a period, from 1 to 12, both included.
func months(s string) (year, from, to int, ok bool) {
	parts := period.FindStringSubmatch(s)
	if parts == nil {
		return 0, 0, 0, false
	}
	number := func(digits string) int {
		n, _ := strconv.Atoi(digits) // "" is 0; anything else is digits
		return n
	}
	year = number(parts[1])
	month, quarter := number(parts[2]), number(parts[3])
	switch {
	case month > 0:
		return year, month, month, true
	case quarter > 0:
		return year, 3*quarter - 2, 3 * quarter, true
	default:
		return year, 1, 12, true
	}
}

// addMonth adds the figures of a month: steady growth with a ripple that only
// looks like chance, so that the same period always has the same figures and
// quarters are the sums of their months.
func (t *revenue) addMonth(year, month int) {
	n := (year-firstYear)*12 + month - 1
	t.Revenue += 28_230 + 1_900*n + n*n*37%2_900*2
	t.NewCustomers += 18 + n + n*n*7%13
	t.ChurnedCustomers += 4 + n/4 + n*n*5%7
}
