package surface

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

type listening struct {
	listener net.Listener
	server   *http.Server
}

// answering is one request that waits for its answer; its connection is taken from net/http, so that TypeScript says
// every word of it.
type answering struct {
	conn net.Conn
	out  io.Writer
	end  func() error
	done chan struct{}
	once sync.Once
}

func (a *answering) finish() { a.once.Do(func() { close(a.done) }) }

var (
	listeners table[*listening]
	answers   table[*answering]
)

const mostRequestBytes = 1 << 20

var serverNows = map[string]loop.Now{
	// listen(network, address, most bytes of headers, ms for a request): `id port`.
	"listen": func(v loop.Values) (engine.Value, error) {
		listener, err := net.Listen(v.Text(0), v.Text(1))
		if err != nil {
			return nil, ofConnection(err)
		}
		port := 0
		if tcp, isTCP := listener.Addr().(*net.TCPAddr); isTCP {
			port = tcp.Port
		}
		server := &http.Server{MaxHeaderBytes: v.Int(2), ReadTimeout: time.Duration(v.Int(3)) * time.Millisecond}
		return fmt.Sprint(listeners.add(&listening{listener, server}), " ", port), nil
	},
	// respondAbort(request) breaks the connection off.
	"respondAbort": func(v loop.Values) (engine.Value, error) {
		one, err := answerOf(v)
		if err != nil {
			return nil, nil
		}
		one.finish()
		// It may be broken off already.
		_ = one.conn.Close()
		return nil, nil
	},
}

var serverWaits = map[string]loop.Wait{
	// serve(id) tells `request, JSON {method, url, headers}, body` until it is cancelled, which ends its connections.
	"serve": func(ctx context.Context, v loop.Values, tell loop.Tell) (engine.Value, error) {
		one, err := listeners.take(v.Number(0))
		if err != nil {
			return nil, err
		}
		one.server.Handler = http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) { handle(ctx, writer, request, tell) })
		stop := context.AfterFunc(ctx, func() { _ = one.server.Close() })
		defer stop()
		if err := one.server.Serve(one.listener); !errors.Is(err, http.ErrServerClosed) {
			return nil, ofConnection(err)
		}
		return nil, ctx.Err()
	},
	// respondHead(request, status, reason, JSON of headers)
	"respondHead": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := answerOf(v)
		if err != nil {
			return nil, err
		}
		return nil, respondHead(one, v)
	},
	"respondWrite": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := answerOf(v)
		if err == nil && len(v.Content(1)) > 0 {
			_, err = one.out.Write(v.Content(1))
		}
		return nil, err
	},
	"respondEnd": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := answerOf(v)
		if err != nil {
			return nil, err
		}
		defer one.finish()
		if err := one.end(); err != nil {
			return nil, ofConnection(err)
		}
		return nil, nil
	},
}

func answerOf(v loop.Values) (*answering, error) {
	return answers.get(v.Number(0))
}

func handle(ctx context.Context, writer http.ResponseWriter, request *http.Request, tell loop.Tell) {
	body, err := io.ReadAll(io.LimitReader(request.Body, mostRequestBytes))
	if err != nil {
		return
	}
	headers := map[string]string{"host": request.Host}
	for name, values := range request.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	head, err := json.Marshal(map[string]any{"method": request.Method, "url": request.URL.RequestURI(), "headers": headers})
	if err != nil {
		return
	}
	conn, _, err := http.NewResponseController(writer).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Time{})
	one := &answering{conn: conn, out: conn, end: func() error { return nil }, done: make(chan struct{})}
	id := answers.add(one)
	defer func() { _, _ = answers.take(id) }()
	if tell(id, string(head), body) {
		select {
		case <-one.done:
		case <-ctx.Done():
		}
	}
}

func respondHead(one *answering, v loop.Values) error {
	var headers [][2]string
	if err := json.Unmarshal([]byte(v.Text(3)), &headers); err != nil {
		return err
	}
	reason := v.Text(2)
	if reason == "" {
		reason = http.StatusText(v.Int(1))
	}
	text := fmt.Sprintf("HTTP/1.1 %d %s\r\nConnection: close\r\n", v.Int(1), reason)
	hasLength := false
	for _, header := range headers {
		hasLength = hasLength || strings.EqualFold(header[0], "content-length")
		text += header[0] + ": " + header[1] + "\r\n"
	}
	bodyless := v.Int(1) == http.StatusNoContent || v.Int(1) == http.StatusNotModified
	if !hasLength && !bodyless {
		text += "Transfer-Encoding: chunked\r\n"
		chunked := httputil.NewChunkedWriter(one.conn)
		one.out = chunked
		one.end = func() error {
			if err := chunked.Close(); err != nil {
				return err
			}
			_, err := io.WriteString(one.conn, "\r\n")
			return err
		}
	}
	_, err := io.WriteString(one.conn, text+"\r\n")
	return err
}
