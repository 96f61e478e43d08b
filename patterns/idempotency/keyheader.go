package idempotency

import (
	"fmt"
	"regexp"
	"strings"
)

// KeyHeader is the request header that carries the key.
const KeyHeader = "Idempotency-Key"

// MalformedKeyError says what is wrong with the header that carries a key, without quoting it.
type MalformedKeyError struct{ Problem string }

// Error says what is wrong.
func (e *MalformedKeyError) Error() string { return "idempotency: key header: " + e.Problem }

// Is reports whether target is [ErrIdempotency].
func (e *MalformedKeyError) Is(target error) bool { return target == ErrIdempotency }

// Code returns [CodeKeyMalformed].
func (e *MalformedKeyError) Code() string { return CodeKeyMalformed }

// ParseKey reads the lines of the header [KeyHeader] of a request, or of what another protocol has for it, as a
// [Middleware] does: for servers that are not those of net/http, together with [Process]. Without a line there is no
// key, and no error.
//
// A line is an Item of RFC 8941 that is a String, as draft-ietf-httpapi-idempotency-key-header-07 wants it, or the key as
// it is, as most clients send it: "abc" and abc are the same key. Its 1 to maxLength bytes are printable ASCII. An error
// is a [*MalformedKeyError].
func ParseKey(lines []string, maxLength int) (key string, err error) {
	return parseKey(lines, maxLength, false)
}

// ParseStrictKey is [ParseKey] for those who take nothing but what the draft wants: the key must be in double quotes.
func ParseStrictKey(lines []string, maxLength int) (key string, err error) {
	return parseKey(lines, maxLength, true)
}

func parseKey(lines []string, maxLength int, strict bool) (string, error) {
	switch len(lines) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", &MalformedKeyError{"the header must be sent once"}
	}
	key := strings.Trim(lines[0], " \t")
	if strings.HasPrefix(key, `"`) {
		var err error
		if key, err = parseItem(key); err != nil {
			return "", err
		}
	} else if strict {
		return "", &MalformedKeyError{"the key must be in double quotes"}
	}
	switch {
	case key == "":
		return "", &MalformedKeyError{"the key must not be empty"}
	case len(key) > maxLength:
		return "", &MalformedKeyError{fmt.Sprintf("the key must be at most %d bytes long", maxLength)}
	case !printable(key):
		return "", &MalformedKeyError{"the key must be printable ASCII characters"}
	}
	return key, nil
}

func printable(key string) bool {
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// parameters is what may follow the string of an Item (RFC 8941, section 3.1.2).
var parameters = regexp.MustCompile(`^(; *[a-z*][a-z0-9_.*-]*(=(` +
	`-?[0-9]{1,15}|-?[0-9]{1,12}\.[0-9]{1,3}` + // integer, decimal
	`|"([ !#-\[\]-~]|\\["\\])*"` + // string
	"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*" + // token
	`|:[A-Za-z0-9+/=]*:|\?[01]))?)*$`) // bytes, boolean

// unescape takes the backslashes off the two characters that a String may escape.
var unescape = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

// parseItem returns the string of an Item. Its parameters, which the draft does not use, are not looked at once they
// are well-formed.
func parseItem(item string) (string, error) {
	escaped := false
	for i := 1; i < len(item); i++ {
		switch item[i] {
		case '"':
			key, after := item[1:i], item[i+1:]
			if after != "" && !parameters.MatchString(after) {
				return "", &MalformedKeyError{"only parameters may follow the closing quote"}
			}
			if escaped {
				key = unescape.Replace(key)
			}
			return key, nil
		case '\\':
			escaped = true
			i++
			if i == len(item) || item[i] != '"' && item[i] != '\\' {
				return "", &MalformedKeyError{"a backslash in quotes must be followed by a quote or a backslash"}
			}
		}
	}
	return "", &MalformedKeyError{"the closing quote is missing"}
}
