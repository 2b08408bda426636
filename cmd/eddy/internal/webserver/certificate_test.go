package webserver

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"
)

// TestHostnameStopsServer: sethostname(2) takes any bytes, and certificates do not.
func TestHostnameStopsServer(t *testing.T) {
	for machine, want := range map[string][]string{
		"b\u00fcro":    {"localhost"},
		"\xff\xfe":     {"localhost"},
		"":             {"localhost"},
		"a b":          {"localhost"},
		"web1.example": {"localhost", "web1.example"},
	} {
		c, err := selfSigned("192.0.2.1", machine, time.Now())
		if err != nil {
			t.Errorf("%q: %v", machine, err)
			continue
		}
		parsed, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Errorf("%q: %v", machine, err)
			continue
		}
		if !slices.Equal(parsed.DNSNames, want) || parsed.VerifyHostname("192.0.2.1") != nil {
			t.Errorf("%q: a certificate for %q and %v, want %q", machine, parsed.DNSNames, parsed.IPAddresses, want)
		}
	}
}
