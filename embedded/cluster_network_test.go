package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/primitives"
	"golang.org/x/sync/errgroup"
)

// mustTLS makes an authority and a certificate for all processes of a cluster.
func mustTLS(tb testing.TB) TLS {
	tb.Helper()
	folder := tb.TempDir()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cluster"}, DNSNames: []string{"cluster"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(tb, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	write := func(name, kind string, text []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(tb, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600))
		return path
	}
	public := write("certificate.pem", "CERTIFICATE", certificate)
	return TLS{CertFile: public, KeyFile: write("key.pem", "PRIVATE KEY", private), CAFile: public, ServerName: "cluster"}
}

// With certificates the services talk to each other, and to nobody without one.
func TestClusterWithTLS(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	config.TLS = mustTLS(t)
	var backend *Server
	var group errgroup.Group
	group.Go(func() (err error) {
		config := config
		config.Services = []string{"history", "matching"}
		backend, err = StartCluster(t.Context(), config)
		return err
	})
	config.Services = []string{"frontend", "worker"}
	server := mustStartCluster(t, config)
	require.NoError(t, group.Wait())
	t.Cleanup(backend.Stop)
	require.NoError(t, backend.Ping(t.Context()))

	secure, err := config.TLS.client()
	require.NoError(t, err)
	connected, stop := mustWorkerOn(t, client.Options{
		HostPort: server.Address(), Namespace: "runa", ConnectionOptions: client.ConnectionOptions{TLS: secure},
	})
	defer stop()
	require.Equal(t, "hello you", mustRun(t, connected, greeting))

	_, err = client.Dial(client.Options{HostPort: server.Address(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.Error(t, err, "without a certificate")
	secure.Certificates = nil
	_, err = client.Dial(client.Options{
		HostPort: server.Address(), ConnectionOptions: client.ConnectionOptions{TLS: secure},
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.Error(t, err, "without a certificate of its own")
}

// A port that is taken is an error and not the end of the process, whichever
// it is; and it is not waited for.
func TestClusterOnTakenPort(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t).withDefaults()
	db := mustDatabase(t, config)
	for _, membership := range []bool{false, true} {
		at, err := listen(t.Context(), config)
		require.NoError(t, err)
		port := at.ports[primitives.HistoryService].calls
		if membership {
			port = at.ports[primitives.HistoryService].membership
		}
		taken, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		require.NoError(t, err)
		_, err = launchClusterAt(t.Context(), config, db, at)
		require.ErrorIs(t, err, errFatal)
		require.ErrorContains(t, err, "address already in use")
		require.NoError(t, taken.Close())
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	at, err := listen(t.Context(), ClusterConfig{Listen: "0.0.0.0:7233", Broadcast: "localhost"})
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0", at.ip.String())
	require.Equal(t, "127.0.0.1:7233", at.address(primitives.FrontendService))
	require.Equal(t, "127.0.0.1:7234", at.own(primitives.HistoryService))
	require.Equal(t, map[primitives.ServiceName]ports{
		primitives.FrontendService: {7233, 6933}, primitives.HistoryService: {7234, 6934},
		primitives.MatchingService: {7235, 6935}, primitives.WorkerService: {7239, 6939},
	}, at.ports)
	for _, port := range []int{lowestFrontendPort, highestFrontendPort} {
		for service, ports := range fixedPorts(port) {
			require.Positive(t, ports.membership, service)
			require.LessOrEqual(t, ports.membership, highestMembershipPort, service)
		}
	}
}
