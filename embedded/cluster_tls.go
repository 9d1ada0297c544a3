package embedded

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"go.temporal.io/server/common/config"
)

// TLS names files in PEM with which all processes of a cluster and its clients
// prove to each other who they are. All fields are set, or none.
type TLS struct {
	// CertFile and KeyFile are the certificate of this process, as a server and
	// as a client.
	CertFile, KeyFile string
	// CAFile is the authority that signed the certificates of all.
	CAFile string
	// ServerName is a name that stands in the certificates of all processes of
	// the cluster.
	ServerName string
}

func (t TLS) validate() error {
	if t == (TLS{}) {
		return nil
	}
	if t.CertFile == "" || t.KeyFile == "" || t.CAFile == "" || t.ServerName == "" {
		return errors.New("embedded: TLS needs CertFile, KeyFile, CAFile and ServerName")
	}
	return nil
}

// root is the same for calls from outside, between the services, and from
// Temporal's own workflows.
func (t TLS) root() config.RootTLS {
	if t == (TLS{}) {
		return config.RootTLS{}
	}
	client := config.ClientTLS{ServerName: t.ServerName, RootCAFiles: []string{t.CAFile}}
	group := config.GroupTLS{
		Client: client,
		Server: config.ServerTLS{
			CertFile: t.CertFile, KeyFile: t.KeyFile,
			ClientCAFiles: []string{t.CAFile}, RequireClientAuth: true,
		},
	}
	return config.RootTLS{
		Internode: group, Frontend: group,
		SystemWorker: config.WorkerTLS{CertFile: t.CertFile, KeyFile: t.KeyFile, Client: client},
	}
}

// client is what this process calls its own services with; nil without TLS.
func (t TLS) client() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("embedded: TLS: %w", err)
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("embedded: TLS: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("embedded: TLS: no certificate in %s", t.CAFile)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: authorities,
		ServerName: t.ServerName, MinVersion: tls.VersionTLS12,
	}, nil
}
