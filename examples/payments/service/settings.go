package service

import (
	"encoding/base64"
	"net"
	"net/url"

	"go.uber.org/zap/zapcore"

	"github.com/steadyfx/steady/patterns"
)

// Settings is the section "payments" of the configuration.
type Settings struct {
	Listen     string        `koanf:"listen"`     // host:port of the loopback interface; port 0: any that is free
	Provider   string        `koanf:"provider"`   // base URL of the payment provider
	Currencies []string      `koanf:"currencies"` // that are accepted
	MaxAmount  int64         `koanf:"max_amount"` // in the smallest unit of the currency
	LogLevel   zapcore.Level `koanf:"log_level"`

	Journal   string `koanf:"journal"`                  // file that keeps what was accepted; empty: nothing does
	AnswerKey string `koanf:"answer_key" secret:"true"` // encrypts stored answers: 32 bytes in base64; empty: they are not
}

// Validate reports everything that is wrong with s.
func (s Settings) Validate() error {
	var checks patterns.Checks
	host, _, err := net.SplitHostPort(s.Listen)
	loopback := host == "localhost" || net.ParseIP(host).IsLoopback()
	checks.That(err == nil && loopback, "listen",
		"must be host:port of the loopback interface, as callers are not authenticated, got %q", s.Listen)
	provider, err := url.Parse(s.Provider)
	checks.That(err == nil && provider.Scheme != "" && provider.Host != "", "provider",
		"must be a URL such as http://localhost:8081, got %q", s.Provider)
	checks.That(len(s.Currencies) > 0, "currencies", "must list at least one currency")
	checks.That(s.MaxAmount > 0, "max_amount", "must be positive, got %d", s.MaxAmount)
	_, err = s.answerKey()
	checks.That(err == nil, "answer_key", "must be 32 random bytes in base64")
	return checks.Err("")
}

// answerKey is nil if there is none.
func (s Settings) answerKey() ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(s.AnswerKey)
	if err == nil && len(key) != 0 && len(key) != 32 {
		err = base64.CorruptInputError(len(key))
	}
	return key, err
}
