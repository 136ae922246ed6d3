package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/sso/idp"
)

// claims are the members of one JSON object: an ID token's payload, or userinfo. Names
// are exact.
type claims map[string]json.RawMessage

// parseClaims reads one JSON object. It is stricter than encoding/json, because other
// parsers judge the same bytes (go-oidc's is one): a name that comes twice, or that
// differs from a claim of the protocol in case alone, means one thing to one of them and
// another to the next. Bytes that are not UTF-8 would turn into U+FFFD, and two subjects
// into one.
func parseClaims(b []byte) (claims, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	cs := claims{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("not a JSON object")
		}
		if _, twice := cs[name]; twice {
			return nil, errors.New("claim " + idp.Printable(name, 60) + " comes twice")
		}
		if i := slices.IndexFunc(protocolClaims[:], func(p string) bool { return strings.EqualFold(p, name) }); i >= 0 && protocolClaims[i] != name {
			return nil, errors.New("claim " + idp.Printable(name, 60) + " is spelled like " + protocolClaims[i])
		}
		cs[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return cs, nil
}

// protocolClaims have a meaning of their own and never become attributes.
var protocolClaims = [...]string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "azp", "auth_time", "acr", "amr", "sid", "at_hash", "c_hash",
	"s_hash", "cnf", "sub_jwk", "events", "toe", "txn", "client_id", "scope", "email", "email_verified", "name",
	"_claim_names", "_claim_sources",
}

// lacks reports whether the claim is not there, or says nothing.
func (cs claims) lacks(name string) bool { return !cs.has(name) || string(cs[name]) == `""` }

// has reports whether the claim is there, and not null.
func (cs claims) has(name string) bool {
	v, ok := cs[name]
	return ok && string(v) != "null"
}

// text returns a claim that must be a string if it is there.
func (cs claims) text(name string) (string, error) {
	if !cs.has(name) {
		return "", nil
	}
	var s string
	if cs[name][0] != '"' || json.Unmarshal(cs[name], &s) != nil {
		return "", errors.New(name + " is not a string")
	}
	return s, nil
}

// texts returns a claim that must be a string or a list of strings.
func (cs claims) texts(name string) ([]string, error) {
	if !cs.has(name) {
		return nil, nil
	}
	if cs[name][0] == '"' {
		s, err := cs.text(name)
		return []string{s}, err
	}
	// Pointers: encoding/json reads null into a string as "".
	var list []*string
	if cs[name][0] != '[' || json.Unmarshal(cs[name], &list) != nil || slices.Contains(list, nil) {
		return nil, errors.New(name + " is neither a string nor a list of strings")
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return out, nil
}

// instant returns a claim that must be a NumericDate if it is there, to the second.
func (cs claims) instant(name string) (t time.Time, ok bool, err error) {
	if !cs.has(name) {
		return time.Time{}, false, nil
	}
	f, err := strconv.ParseFloat(string(cs[name]), 64)
	// Bounded: 1e18 overflows what time.Time does arithmetic with, and a token "valid" past
	// the year 9999 is wrong anyway. A number in quotes does not parse.
	if err != nil || math.IsNaN(f) || f < 0 || f > 253402300799 {
		return time.Time{}, false, errors.New(name + " is not a time")
	}
	return time.Unix(int64(f), 0), true, nil
}

// boolean returns a claim that must be true or false, or one of them in quotes, as
// some providers write it; nil: it is not there.
func (cs claims) boolean(name string) (*bool, error) {
	if !cs.has(name) {
		return nil, nil
	}
	switch string(cs[name]) {
	case "true", `"true"`:
		return new(true), nil
	case "false", `"false"`:
		return new(false), nil
	}
	return nil, errors.New(name + " is neither true nor false")
}

// subject returns sub, which must be there. Its bytes are compared and kept as they are,
// so bytes that would not survive being logged, stored or shown are refused here.
func (cs claims) subject() (string, error) {
	sub, err := cs.text("sub")
	switch {
	case err != nil:
		return "", err
	case sub == "":
		return "", errors.New("sub is missing")
	case len(sub) > maxSubject:
		return "", errors.New("sub is longer than 255 bytes")
	case !idp.Plain(sub):
		return "", errors.New("sub is not plain text")
	}
	return sub, nil
}
