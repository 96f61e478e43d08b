package idempotency

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// KeyHeader is the request header that carries the key.
const KeyHeader = "Idempotency-Key"

// keyOf returns the key that a request names, or "" if it names none. An error says what is wrong with the header,
// without quoting it.
func keyOf(header http.Header, maxLength int) (string, error) {
	switch lines := header.Values(KeyHeader); len(lines) {
	case 0:
		return "", nil
	case 1:
		return parseKey(lines[0], maxLength)
	default:
		return "", errors.New("the header must be sent once")
	}
}

// parseKey reads the header as draft-ietf-httpapi-idempotency-key-header-07 wants it, an Item of RFC 8941 that is a
// String, or as most clients send it, without the quotes. "abc" and abc are the same key.
func parseKey(field string, maxLength int) (string, error) {
	key := strings.Trim(field, " \t")
	if strings.HasPrefix(key, `"`) {
		var err error
		if key, err = parseItem(key); err != nil {
			return "", err
		}
	}
	switch {
	case key == "":
		return "", errors.New("the key must not be empty")
	case len(key) > maxLength:
		return "", fmt.Errorf("the key must be at most %d bytes long", maxLength)
	case strings.ContainsFunc(key, unprintable):
		return "", errors.New("the key must be printable ASCII characters")
	}
	return key, nil
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// parameters is what may follow the string of an Item (RFC 8941, section 3.1.2).
var parameters = regexp.MustCompile(`^(; *[a-z*][a-z0-9_.*-]*(=(` +
	`-?[0-9]{1,15}|-?[0-9]{1,12}\.[0-9]{1,3}` + // integer, decimal
	`|"([ !#-\[\]-~]|\\["\\])*"` + // string
	"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*" + // token
	`|:[A-Za-z0-9+/=]*:|\?[01]))?)*$`) // bytes, boolean

// parseItem returns the string of an Item. Its parameters, which the draft does not use, are not looked at once they
// are well-formed.
func parseItem(item string) (string, error) {
	var key strings.Builder
	for i := 1; i < len(item); i++ {
		switch c := item[i]; c {
		case '"':
			if !parameters.MatchString(item[i+1:]) {
				return "", errors.New("only parameters may follow the closing quote")
			}
			return key.String(), nil
		case '\\':
			i++
			if i == len(item) || item[i] != '"' && item[i] != '\\' {
				return "", errors.New("a backslash in quotes must be followed by a quote or a backslash")
			}
			key.WriteByte(item[i])
		default:
			key.WriteByte(c)
		}
	}
	return "", errors.New("the closing quote is missing")
}
