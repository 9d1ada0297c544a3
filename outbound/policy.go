package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
)

// ErrBlocked is in the chain of every error that refuses an address. Its text
// is the same for whatever lies behind the address, so it maps nothing.
var ErrBlocked = errors.New("the address is not allowed")

// azureHost answers inside every Azure machine, though its range is public.
var azureHost = netip.MustParsePrefix("168.63.129.16/32")

// Policy decides which addresses may be dialled. It is safe for concurrent
// use.
type Policy struct {
	guard *ssrf.Guardian
	// prefixes and hosts are allowed on the ports of their entries.
	prefixes []prefixRule
	hosts    map[string][]uint16
}

// prefixRule allows a range of addresses on one port, or on all when port is
// 0.
type prefixRule struct {
	prefix netip.Prefix
	port   uint16
}

// NewPolicy makes a policy that refuses private and special addresses, save
// for those that an entry of allow names: a CIDR ("10.0.0.0/8"), an IP, a host
// name ("tools.internal": whatever it resolves to), or an IP or host name with
// a port ("10.0.0.7:8080", "[fd00::7]:8080", "tools.internal:8080": only that
// port). The error of an invalid entry names it.
func NewPolicy(allow []string) (*Policy, error) {
	p := &Policy{
		guard: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAnyNetwork(), ssrf.WithDeniedV4Prefixes(azureHost)),
		hosts: map[string][]uint16{},
	}
	for _, entry := range allow {
		if err := p.add(strings.TrimSpace(entry)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Policy) add(entry string) error {
	if prefix, err := netip.ParsePrefix(entry); err == nil && !prefix.Addr().Is4In6() {
		p.prefixes = append(p.prefixes, prefixRule{prefix: prefix.Masked()})
		return nil
	}
	host, port, err := splitEntry(entry)
	if err != nil {
		return invalidEntry(entry)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap().WithZone("")
		p.prefixes = append(p.prefixes, prefixRule{netip.PrefixFrom(addr, addr.BitLen()), port})
		return nil
	}
	host = normalHost(host)
	if !hostName.MatchString(host) || numericHost(host) {
		return invalidEntry(entry)
	}
	p.hosts[host] = append(p.hosts[host], port)
	return nil
}

func invalidEntry(entry string) error {
	return fmt.Errorf("outbound allow list: %q is not a CIDR (10.0.0.0/8), an IP, a host name, or one of the latter two with a port (tools.internal:8080)", entry)
}

// splitEntry takes the port, if there is one, off an entry.
func splitEntry(entry string) (host string, port uint16, err error) {
	if _, err := netip.ParseAddr(entry); err == nil || !strings.Contains(entry, ":") {
		return entry, 0, nil
	}
	host, text, err := net.SplitHostPort(entry)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err == nil && n == 0 {
		err = strconv.ErrRange
	}
	return host, uint16(n), err
}

var (
	hostName     = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
	numericLabel = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)
)

func normalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// numericHost tells hosts that some resolvers read as IPv4 addresses and Go
// does not (2130706433, 0x7f.1, 127.1): no name of the internet ends in a
// number.
func numericHost(host string) bool {
	host = normalHost(host)
	return numericLabel.MatchString(host[strings.LastIndexByte(host, '.')+1:])
}

// checkHost refuses hosts that are neither names nor addresses, and tells
// whether the host itself is allowed, whatever its address.
func (p *Policy) checkHost(host string, port uint16) (allowed bool, err error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return false, nil
	}
	if numericHost(host) {
		return false, ErrBlocked
	}
	for _, allowed := range p.hosts[normalHost(host)] {
		if allowed == 0 || allowed == port {
			return true, nil
		}
	}
	return false, nil
}

// checkAddr refuses an address that is about to be dialled.
func (p *Policy) checkAddr(to netip.AddrPort) error {
	// A prefix never contains an address with a zone, nor an IPv4 prefix its
	// mapped form: without this, neither would be judged by what it reaches.
	addr := to.Addr().Unmap().WithZone("")
	for _, rule := range p.prefixes {
		if rule.prefix.Contains(addr) && (rule.port == 0 || rule.port == to.Port()) {
			return nil
		}
	}
	if p.guard.SafeAddr(addr) != nil {
		return ErrBlocked
	}
	return nil
}
