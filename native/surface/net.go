package surface

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"golang.org/x/net/idna"
	"golang.org/x/sys/unix"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

type exchange struct {
	body   io.ReadCloser
	cancel context.CancelFunc
}

var (
	transports table[*http.Transport]
	exchanges  table[*exchange]
)

var netNows = map[string]loop.Now{
	// transport(JSON {keepAlive, proxy, socket, serverName, ca, cert, key}): connections of one way and trust. HTTP/1.1.
	"transport": func(v loop.Values) (engine.Value, error) {
		made, err := transport([]byte(v.Text(0)))
		if err != nil {
			return nil, err
		}
		return transports.add(made), nil
	},
	"transportClose": func(v loop.Values) (engine.Value, error) {
		one, err := transports.take(v.Number(0))
		if err == nil {
			one.CloseIdleConnections()
		}
		return nil, err
	},
	// httpClose(id) ends an exchange wherever it is.
	"httpClose": func(v loop.Values) (engine.Value, error) {
		one, err := exchanges.take(v.Number(0))
		if err != nil {
			return nil, err
		}
		one.cancel()
		// It reads what is left of a body to keep the connection, which may take its time.
		go one.body.Close()
		return nil, nil
	},
	"domainToAscii": func(v loop.Values) (engine.Value, error) { return names.ToASCII(v.Text(0)) },
}

// names are mapped as the URL standard says (UTS #46, neither transitional nor strict).
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(false))

var netWaits = map[string]loop.Wait{
	// httpSend(transport, JSON {method, url, headers}, body): JSON {id, status, reason, headers}, when the headers are there.
	"httpSend": func(ctx context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		return send(ctx, v)
	},
	// httpRead(id) is the next bytes; undefined at the end.
	"httpRead": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := exchanges.get(v.Number(0))
		if err != nil {
			return nil, err
		}
		buffer := make([]byte, 64*1024)
		n, err := one.body.Read(buffer)
		switch {
		case n > 0:
			return buffer[:n], nil
		case err == io.EOF:
			return nil, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, named{"ECONNRESET", "aborted"}
		}
		return nil, ofConnection(err)
	},
	// connects(network, address)
	"connects": func(ctx context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, v.Text(0), v.Text(1))
		if err != nil {
			return nil, ofConnection(err)
		}
		return nil, conn.Close()
	},
}

func transport(text []byte) (*http.Transport, error) {
	var asked struct {
		KeepAlive                                bool
		Proxy, Socket, ServerName, CA, Cert, Key string
	}
	if err := json.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	made := &http.Transport{
		DisableKeepAlives:  !asked.KeepAlive,
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{ServerName: asked.ServerName, MinVersion: tls.VersionTLS12},
		TLSNextProto:       map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	if asked.CA != "" {
		made.TLSClientConfig.RootCAs = x509.NewCertPool()
		made.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(asked.CA))
	}
	if asked.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(asked.Cert), []byte(asked.Key))
		if err != nil {
			return nil, err
		}
		made.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	if asked.Proxy != "" {
		proxy, err := url.Parse(asked.Proxy)
		if err != nil {
			return nil, err
		}
		made.Proxy = http.ProxyURL(proxy)
	}
	if asked.Socket != "" {
		made.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", asked.Socket)
		}
	}
	return made, nil
}

func send(ctx context.Context, v loop.Values) (engine.Value, error) {
	way, err := transports.get(v.Number(0))
	if err != nil {
		return nil, err
	}
	var asked struct {
		Method, URL string
		Headers     [][2]string
	}
	if err := json.Unmarshal([]byte(v.Text(1)), &asked); err != nil {
		return nil, err
	}
	var body io.Reader
	if v.Has(2) {
		body = strings.NewReader(string(v.Content(2)))
	}
	// It outlives this call: the body is read later.
	whole, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, cancel)
	request, err := http.NewRequestWithContext(whole, asked.Method, asked.URL, body)
	if err != nil {
		cancel()
		return nil, err
	}
	request.Header["User-Agent"] = nil
	for _, header := range asked.Headers {
		if strings.EqualFold(header[0], "host") {
			request.Host = header[1]
		} else {
			request.Header.Add(header[0], header[1])
		}
	}
	response, err := way.RoundTrip(request)
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, ofConnection(err)
	}
	if !stop() {
		_ = response.Body.Close()
		return nil, ctx.Err()
	}
	headers := map[string]string{}
	for name, values := range response.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	_, reason, _ := strings.Cut(response.Status, " ")
	text, err := json.Marshal(map[string]any{
		"id": exchanges.add(&exchange{response.Body, cancel}), "status": response.StatusCode, "reason": reason, "headers": headers,
	})
	return string(text), err
}

// ofConnection is what became of a connection with the code that Node or OpenSSL has for it.
func ofConnection(err error) error {
	code := ""
	var errno syscall.Errno
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		code = "EAI_AGAIN"
		if dns.IsNotFound {
			code = "ENOTFOUND"
		}
	case errors.As(err, &errno):
		code = unix.ErrnoName(errno)
	case errors.As(err, &unknown):
		code = "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
	case errors.As(err, &name):
		code = "ERR_TLS_CERT_ALTNAME_INVALID"
	case errors.As(err, &invalid):
		code = "CERT_UNTRUSTED"
		if invalid.Reason == x509.Expired {
			code = "CERT_HAS_EXPIRED"
			if strings.Contains(invalid.Detail, "is before") {
				code = "CERT_NOT_YET_VALID"
			}
		}
	case errors.As(err, &record):
		code = "ERR_SSL_WRONG_VERSION_NUMBER"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		code = "ECONNRESET"
	}
	if code == "" {
		return fmt.Errorf("connection: %w", err)
	}
	return named{code, err.Error()}
}
