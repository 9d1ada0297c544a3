package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"

	"go.temporal.io/server/common/primitives"
)

const loopback = "127.0.0.1"

// Ports are chosen below the range from which systems give ports to outgoing
// connections and to listeners on port 0 (from 32768 on Linux), so that only
// another listener with a fixed port can be in the way.
const (
	firstPort = 20000
	lastPort  = 31999
)

// addresses are the host and port of each service of the server.
type addresses map[primitives.ServiceName]int

func (a addresses) of(service primitives.ServiceName) string {
	return net.JoinHostPort(loopback, fmt.Sprint(a[service]))
}

func (a addresses) frontend() string { return a.of(primitives.FrontendService) }

// freeAddresses finds a free port for each service. All are held until the
// last is found, so that they differ.
func freeAddresses() (addresses, error) {
	found := addresses{}
	for _, service := range services {
		listener, err := listenFree(loopback)
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		found[service] = listener.Addr().(*net.TCPAddr).Port
	}
	return found, nil
}

func listenFree(host string) (net.Listener, error) {
	const attempts = 100
	var last error
	for range attempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // a free port is no secret
		listener, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, errors.Join(fmt.Errorf("no free port between %d and %d on %s", firstPort, lastPort, host), last)
}
