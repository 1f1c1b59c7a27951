package surface

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

// unpacking takes compressed bytes as they come and gives what comes out, in bounded memory.
type unpacking struct {
	in    *io.PipeWriter
	out   io.Reader
	close func()
}

var unpackings table[*unpacking]

const longestWindow = 128 << 20

var streamNows = map[string]loop.Now{
	// unpack(form: gzip, zstd, xz, lzma, bzip2) is a stream.
	"unpack": func(v loop.Values) (engine.Value, error) {
		reader, writer := io.Pipe()
		one := &unpacking{in: writer, close: func() { _ = reader.CloseWithError(errClosed) }}
		one.out = &lazy{form: v.Text(0), from: reader}
		return unpackings.add(one), nil
	},
	"unpackClose": func(v loop.Values) (engine.Value, error) {
		one, err := unpackings.take(v.Number(0))
		if err == nil {
			one.close()
		}
		return nil, err
	},
}

var errClosed = errors.New("the stream is closed")

var streamWaits = map[string]loop.Wait{
	// unpackWrite(stream, bytes) waits until they are taken; no bytes are the end.
	"unpackWrite": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := unpackingOf(v)
		if err != nil {
			return nil, err
		}
		if data := v.Bytes(1); len(data) > 0 {
			_, err = one.in.Write(data)
		} else {
			err = one.in.Close()
		}
		return nil, err
	},
	// unpackRead(stream) is what comes out next; undefined at the end of what was compressed.
	"unpackRead": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := unpackingOf(v)
		if err != nil {
			return nil, err
		}
		buffer := make([]byte, 256*1024)
		n, err := io.ReadAtLeast(one.out, buffer, 1)
		if n > 0 {
			return buffer[:n], nil
		}
		if err == io.EOF {
			return nil, nil
		}
		return nil, err
	},
}

func unpackingOf(v loop.Values) (*unpacking, error) {
	return unpackings.get(v.Number(0))
}

// lazy begins when the first bytes are there, and sees to it that nothing follows the end.
type lazy struct {
	form   string
	from   io.Reader
	packed *bufio.Reader
	reader io.Reader
}

func (l *lazy) Read(data []byte) (int, error) {
	if l.reader == nil {
		l.packed = bufio.NewReaderSize(l.from, 64*1024)
		reader, err := unpacker(l.form, l.packed)
		if err != nil {
			return 0, unexpected(err)
		}
		l.reader = reader
	}
	n, err := l.reader.Read(data)
	if err == io.EOF && n == 0 {
		if _, more := l.packed.ReadByte(); more == nil {
			return 0, named{"TRAILING", "data after the end"}
		}
	}
	return n, err
}

// unexpected keeps the end of the input from being taken for the end of what comes out.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func unpacker(form string, from *bufio.Reader) (io.Reader, error) {
	switch form {
	case "gzip":
		return gzip.NewReader(from)
	case "zstd":
		reader, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(longestWindow))
		if err != nil {
			return nil, err
		}
		return reader, nil
	case "xz":
		return xz.NewReader(from)
	case "lzma":
		return lzma.NewReader(from)
	case "bzip2":
		return bzip2.NewReader(from), nil
	}
	return nil, named{"ERR_INVALID_ARG_VALUE", "no form " + form}
}
