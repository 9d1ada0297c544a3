package embedded

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"go.temporal.io/server/common/primitives"
)

// Each service has a port for calls and one for the membership protocol, at
// fixed distances from the frontend's: with 7233 they are Temporal's usual
// ones.
const membershipDistance = -300

var portDistance = map[primitives.ServiceName]int{
	primitives.FrontendService: 0,
	primitives.HistoryService:  1,
	primitives.MatchingService: 2,
	primitives.WorkerService:   6,
}

// The database's column for a membership port is signed and has 16 bits.
const (
	highestMembershipPort = 1<<15 - 1
	lowestFrontendPort    = 1 - membershipDistance
	highestFrontendPort   = highestMembershipPort - membershipDistance - 6
)

// ports are those of one service.
type ports struct{ calls, membership int }

// listening says where the services of a process listen, and as what address
// others reach them.
type listening struct {
	// ip is bound; broadcast is told to others.
	ip, broadcast netip.Addr
	ports         map[primitives.ServiceName]ports
}

// listen works out the addresses of a configuration. A port 0 becomes free
// ports for all.
func listen(ctx context.Context, c ClusterConfig) (listening, error) {
	host, port, err := splitListen(c.Listen)
	if err != nil {
		return listening{}, err
	}
	found := listening{}
	if found.ip, err = lookup(ctx, host); err != nil {
		return listening{}, fmt.Errorf("embedded: Listen: %w", err)
	}
	found.broadcast = found.ip
	if c.Broadcast != "" {
		if found.broadcast, err = lookup(ctx, c.Broadcast); err != nil {
			return listening{}, fmt.Errorf("embedded: Broadcast: %w", err)
		}
	}
	if found.broadcast.IsUnspecified() {
		return listening{}, fmt.Errorf("embedded: Listen %s is every address: Broadcast must be the one at which the other processes reach this host", c.Listen)
	}
	if port == 0 {
		found.ports, err = freePorts(found.ip.String())
		return found, err
	}
	found.ports = fixedPorts(port)
	return found, nil
}

func splitListen(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("embedded: Listen %q is not host:port: %w", address, err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port != 0 && (port < lowestFrontendPort || port > highestFrontendPort) {
		return "", 0, fmt.Errorf("embedded: Listen %q: the port must be 0 or between %d and %d", address, lowestFrontendPort, highestFrontendPort)
	}
	return host, port, nil
}

// lookup turns a host into one address, which Temporal's membership needs.
func lookup(ctx context.Context, host string) (netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, address := range found {
		if address = address.Unmap(); address.Is4() {
			return address, nil
		}
	}
	return found[0], nil
}

func fixedPorts(frontend int) map[primitives.ServiceName]ports {
	found := map[primitives.ServiceName]ports{}
	for service, distance := range portDistance {
		found[service] = ports{calls: frontend + distance, membership: frontend + distance + membershipDistance}
	}
	return found
}

// freePorts holds all that it finds until the last is found, so that they
// differ.
func freePorts(host string) (map[primitives.ServiceName]ports, error) {
	found := map[primitives.ServiceName]ports{}
	for _, service := range services {
		var pair [2]int
		for i := range pair {
			listener, err := listenFree(host)
			if err != nil {
				return nil, err
			}
			defer func() { _ = listener.Close() }()
			pair[i] = listener.Addr().(*net.TCPAddr).Port
		}
		found[service] = ports{calls: pair[0], membership: pair[1]}
	}
	return found, nil
}

// address is where others reach a service.
func (l listening) address(service primitives.ServiceName) string {
	return net.JoinHostPort(l.broadcast.String(), strconv.Itoa(l.ports[service].calls))
}

// own is where this process reaches a service of its own.
func (l listening) own(service primitives.ServiceName) string {
	ip := l.ip
	if ip.IsUnspecified() {
		ip = netip.MustParseAddr(loopback)
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(l.ports[service].calls))
}
