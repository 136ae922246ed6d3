package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Method is a way of proving who one is.
type Method uint8

// The methods. SSO is the organization's own identity provider, over OIDC or
// SAML; the rest are local factors. TOTP and RecoveryCode are second factors
// only; they never stand first.
const (
	SSO Method = 1 + iota
	EmailCode
	Password
	Passkey
	Social
	TOTP
	RecoveryCode
	endOfMethods
)

var methodNames = [...]string{SSO: "sso", EmailCode: "email_code", Password: "password", Passkey: "passkey", Social: "social", TOTP: "totp", RecoveryCode: "recovery_code"}

// String returns the name that YAML, headers and events use, such as "email_code".
func (m Method) String() string {
	if m == 0 || m >= endOfMethods {
		return "none"
	}
	return methodNames[m]
}

// ParseMethod returns the method of that name.
func ParseMethod(s string) (Method, error) {
	for m := SSO; m < endOfMethods; m++ {
		if methodNames[m] == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown sign-in method %q: want one of %s", s, strings.Join(methodNames[SSO:], ", "))
}

// MarshalText implements [encoding.TextMarshaler].
func (m Method) MarshalText() ([]byte, error) {
	if m == 0 || m >= endOfMethods {
		return nil, fmt.Errorf("no such sign-in method: %d", uint8(m))
	}
	return []byte(m.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Method) UnmarshalText(b []byte) (err error) { *m, err = ParseMethod(string(b)); return err }

// Methods is a set of methods. The zero Methods is empty.
type Methods uint16

// MethodsOf returns the set of ms.
func MethodsOf(ms ...Method) Methods {
	var s Methods
	for _, m := range ms {
		s |= 1 << m
	}
	return s
}

// second are the methods that can stand second, and first those that can stand
// first. A passkey is either.
const (
	second Methods = 1<<TOTP | 1<<RecoveryCode | 1<<Passkey
	first  Methods = 1<<SSO | 1<<EmailCode | 1<<Password | 1<<Passkey | 1<<Social
)

// Has reports whether m is in s.
func (s Methods) Has(m Method) bool { return m != 0 && s&(1<<m) != 0 }

// List returns the methods of s in the order of their definition.
func (s Methods) List() []Method {
	var ms []Method
	for m := SSO; m < endOfMethods; m++ {
		if s.Has(m) {
			ms = append(ms, m)
		}
	}
	return ms
}

// String returns the names of the methods, comma-separated.
func (s Methods) String() string {
	var names []string
	for _, m := range s.List() {
		names = append(names, m.String())
	}
	return strings.Join(names, ", ")
}

// MarshalJSON writes s as a list of names.
func (s Methods) MarshalJSON() ([]byte, error) { return json.Marshal(s.List()) }

// UnmarshalJSON reads a list of names.
func (s *Methods) UnmarshalJSON(b []byte) error {
	var ms []Method
	if err := json.Unmarshal(b, &ms); err != nil {
		return err
	}
	*s = MethodsOf(ms...)
	return nil
}
