package surface

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"bytes"

	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

// Private keys are PKCS #8 in PEM, public ones SubjectPublicKeyInfo in DER, certificates PEM.
var keyNows = map[string]loop.Now{
	// keyNew(ec, rsa or ed25519): ECDSA on P-256.
	"keyNew": func(v loop.Values) (engine.Value, error) {
		key, err := newKey(v.Text(0))
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
	},
	// keyPublic(private key) is its public key.
	"keyPublic": func(v loop.Values) (engine.Value, error) {
		key, err := privateKey(v.Text(0))
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		return der, err
	},
	// keyRead(public key in PEM, or a certificate) in DER.
	"keyRead": func(v loop.Values) (engine.Value, error) {
		block, _ := pem.Decode([]byte(v.Text(0)))
		if block == nil {
			return nil, errNoKey
		}
		public, err := publicKeyIn(block)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		return der, err
	},
	// keyType(public key) by Node's words: its type, and the curve of an elliptic one.
	"keyType": func(v loop.Values) (engine.Value, error) {
		public, err := x509.ParsePKIXPublicKey(v.Bytes(0))
		if err != nil {
			return nil, err
		}
		switch key := public.(type) {
		case *rsa.PublicKey:
			return "rsa", nil
		case *ecdsa.PublicKey:
			if key.Curve == elliptic.P256() {
				return "ec prime256v1", nil
			}
			return "ec " + key.Curve.Params().Name, nil
		case ed25519.PublicKey:
			return "ed25519", nil
		}
		return "other", nil
	},
	// keySign(private key, content): over SHA-256 (Ed25519 hashes on its own), DER.
	"keySign": func(v loop.Values) (engine.Value, error) {
		key, err := privateKey(v.Text(0))
		if err != nil {
			return nil, err
		}
		content := v.Bytes(1)
		if _, hashes := key.(ed25519.PrivateKey); hashes {
			return key.Sign(rand.Reader, content, crypto.Hash(0))
		}
		sum := sha256.Sum256(content)
		return key.Sign(rand.Reader, sum[:], crypto.SHA256)
	},
	// keyVerify(public key, digest, content, signature): ECDSA and RSA (PKCS #1) over the digest, Ed25519.
	"keyVerify": func(v loop.Values) (engine.Value, error) {
		public, err := x509.ParsePKIXPublicKey(v.Bytes(0))
		if err != nil {
			return nil, err
		}
		content, signature := v.Bytes(2), v.Bytes(3)
		if key, hashes := public.(ed25519.PublicKey); hashes {
			return ed25519.Verify(key, content, signature), nil
		}
		digest := digests[v.Text(1)]
		if digest == 0 {
			return nil, named{"ERR_CRYPTO_INVALID_DIGEST", "no digest for signatures " + v.Text(1)}
		}
		running := digest.New()
		running.Write(content)
		sum := running.Sum(nil)
		switch key := public.(type) {
		case *rsa.PublicKey:
			return rsa.VerifyPKCS1v15(key, digest, sum, signature) == nil, nil
		case *ecdsa.PublicKey:
			return ecdsa.VerifyASN1(key, sum, signature), nil
		}
		return false, nil
	},
	"certificateCheck": func(v loop.Values) (engine.Value, error) {
		_, err := certificate(v.Text(0))
		return nil, err
	},
	// certificateNames(certificate, authority): whether it says that it is from there.
	"certificateNames": func(v loop.Values) (engine.Value, error) {
		one, by, err := certificates(v)
		return err == nil && bytes.Equal(one.RawIssuer, by.RawSubject), err
	},
	// certificateSigned(certificate, authority): whether the signature is made by its key.
	"certificateSigned": func(v loop.Values) (engine.Value, error) {
		one, by, err := certificates(v)
		return err == nil && by.CheckSignature(one.SignatureAlgorithm, one.RawTBSCertificate, one.Signature) == nil, err
	},
}

var digests = map[string]crypto.Hash{
	"sha224": crypto.SHA224, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
}

var errNoKey = errors.New("no key in PEM")

func newKey(kind string) (any, error) {
	switch kind {
	case "ec":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, named{"ERR_INVALID_ARG_VALUE", "no kind of key " + kind}
}

func privateKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errNoKey
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, isSigner := parsed.(crypto.Signer)
	if !isSigner {
		return nil, errNoKey
	}
	return key, nil
}

func publicKeyIn(block *pem.Block) (any, error) {
	switch block.Type {
	case "CERTIFICATE":
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return parsed.PublicKey, nil
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	}
	return nil, errNoKey
}

func certificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func certificates(v loop.Values) (one, by *x509.Certificate, err error) {
	one, err = certificate(v.Text(0))
	if err == nil {
		by, err = certificate(v.Text(1))
	}
	return one, by, err
}
