package outbound

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// dialer dials for one client.
type dialer struct {
	policy   *Policy
	resolver *net.Resolver
	timeout  time.Duration
}

// dial connects to a host and port. The check runs between the making of the
// socket and its connecting, on the address that the resolver gave for this
// very dial.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := splitHostPort(address)
	if err != nil {
		return nil, ErrBlocked
	}
	allowed, err := d.policy.checkHost(host, port)
	if err != nil {
		return nil, err
	}
	nd := net.Dialer{Timeout: d.timeout, Resolver: d.resolver}
	if !allowed {
		nd.Control = d.control
	}
	conn, err := nd.DialContext(ctx, network, address)
	return conn, withoutInside(err)
}

func splitHostPort(address string) (string, uint16, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(port), err
}

// control is a net.Dialer's Control: an error keeps it from connecting.
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return ErrBlocked
	}
	return d.policy.checkAddr(to)
}

// withoutInside takes out of an error what it tells of the network that Runa
// runs in: what a refused name resolved to, and which server resolves names.
func withoutInside(err error) error {
	if errors.Is(err, ErrBlocked) {
		return ErrBlocked
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return &net.DNSError{
			Err: "lookup failed", Name: dns.Name,
			IsTimeout: dns.IsTimeout, IsTemporary: dns.IsTemporary, IsNotFound: dns.IsNotFound,
		}
	}
	return err
}
