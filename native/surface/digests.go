package surface

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/hex"
	"hash"

	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// A running digest is its state, as bytes: nothing of it is kept here.
var digestNows = map[string]loop.Now{
	// digest(algorithm, content) in hex.
	"digest": func(v loop.Values) (engine.Value, error) {
		running, err := hashOf(v.Text(0), nil)
		if err != nil {
			return nil, err
		}
		running.Write(v.Content(1))
		return hex.EncodeToString(running.Sum(nil)), nil
	},
	// digestMore(algorithm, state, content) is the next state; the first is undefined.
	"digestMore": func(v loop.Values) (engine.Value, error) {
		running, err := hashOf(v.Text(0), stateOf(v))
		if err != nil {
			return nil, err
		}
		running.Write(v.Content(2))
		return running.(encoding.BinaryMarshaler).MarshalBinary()
	},
	"digestHex": func(v loop.Values) (engine.Value, error) {
		running, err := hashOf(v.Text(0), stateOf(v))
		if err != nil {
			return nil, err
		}
		return hex.EncodeToString(running.Sum(nil)), nil
	},
}

func stateOf(v loop.Values) []byte {
	if v.Has(1) {
		return v.Bytes(1)
	}
	return nil
}

func hashOf(algorithm string, state []byte) (hash.Hash, error) {
	make := hashes[algorithm]
	if make == nil {
		return nil, named{"ERR_OSSL_EVP_UNSUPPORTED", "no digest " + algorithm}
	}
	running := make()
	if state == nil {
		return running, nil
	}
	return running, running.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

func random(length int) (engine.Value, error) {
	if length < 0 || length > 1<<16 {
		return nil, named{"ERR_OUT_OF_RANGE", "random: 0 to 65536 bytes"}
	}
	data := make([]byte, length)
	_, err := rand.Read(data)
	return data, err
}
