package dimse

import "crypto/tls"

// SecureTLS returns a copy of the configuration that keeps the secure transport
// profile after BCP 195 (PS3.15 B.12, RFC 9325): TLS 1.3, or TLS 1.2 with
// ephemeral elliptic curve keys and an authenticated cipher. Certificates,
// authorities and ClientAuth stay as they are.
func SecureTLS(config *tls.Config) *tls.Config {
	c := config.Clone()
	c.MinVersion = tls.VersionTLS12
	c.CipherSuites = []uint16{ // of TLS 1.2; those of 1.3 are all good and cannot be chosen
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	}
	c.Renegotiation = tls.RenegotiateNever
	return c
}
