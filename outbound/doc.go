// Package outbound is the only place that makes HTTP clients for addresses
// that users give: tools' endpoints, sites to crawl, webhooks. Its clients
// reach public addresses and what the operator allows, and nothing else; the
// decision falls on the address that is really dialled, so neither a second
// DNS answer nor a redirect gets around it. It also reads bodies within
// limits.
//
// It is not for Runa's own services (databases, Temporal, model providers),
// whose addresses the operator sets, and it knows nothing of tools or pages.
package outbound
