package sso

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

const (
	devicePurpose = "browser"
	// deviceLife is as long as browsers keep a cookie.
	deviceLife = 400 * 24 * time.Hour
	// maxDeviceUsers is how many persons a browser is known to have.
	maxDeviceUsers = 5
	// maxDeviceProved is how many addresses a browser is known to have proved, and deviceProved for how long: addresses
	// get new owners.
	maxDeviceProved = 5
	deviceProved    = 90 * 24 * time.Hour
)

// A device is what we know of a browser, kept by the browser itself, sealed: a secret that
// binds to it whatever was asked for in it, and who has signed in from it before. The
// latter get in by nothing; but guesses that others make at their accounts elsewhere do not
// slow them down here (SECURITY rule 28).
type device struct {
	Secret session.Token    `json:"-"`
	Token  string           `json:"secret"`
	Users  []tenancy.UserID `json:"users,omitzero"`
	// Proved are the addresses that were proved here to an app, by people who may be no users. It is no proof of them
	// to anybody: see [device.own].
	Proved []provedAddress `json:"proved,omitzero"`
}

// A provedAddress is an address by its sum under the secret of the device, and when it was proved last.
type provedAddress struct {
	Sum string    `json:"sum"`
	At  time.Time `json:"at"`
}

// device returns what is known of the browser. ok is false if it is new to us.
func (s *Server) device(r *http.Request) (d device, ok bool) {
	if d, ok := r.Context().Value(madeNow{}).(device); ok {
		return d, true
	}
	value, ok := s.jar.Read(r.Header, cookie.Browser)
	if !ok || len(value) > maxFlowCookie {
		return device{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return device{}, false
	}
	plain, err := s.box.Open(devicePurpose, "", sealed)
	if err != nil || json.Unmarshal(plain, &d) != nil {
		return device{}, false
	}
	if d.Secret, ok = session.ParseToken(d.Token); !ok {
		return device{}, false
	}
	return d, true
}

// madeNow is the key of a device that this request made: its cookie is on the way to the browser.
type madeNow struct{}

func (d device) in(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), madeNow{}, d))
}

// ensureDevice returns the device of this browser, and makes it one if it is new.
func (s *Server) ensureDevice(w http.ResponseWriter, r *http.Request) (device, error) {
	if d, ok := s.device(r); ok {
		return d, nil
	}
	d := device{Secret: session.NewToken()}
	d.Token = d.Secret.Reveal()
	return d, s.keepDevice(w, d)
}

func (s *Server) keepDevice(w http.ResponseWriter, d device) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return err
	}
	s.jar.Set(w, cookie.Browser, base64.RawURLEncoding.EncodeToString(s.box.Seal(devicePurpose, "", plain)), deviceLife)
	return nil
}

// remember notes that the user has signed in from this browser.
func (s *Server) remember(w http.ResponseWriter, r *http.Request, user tenancy.UserID) error {
	d, err := s.ensureDevice(w, r)
	if err != nil || len(d.Users) > 0 && d.Users[0] == user {
		return err
	}
	d.Users = append([]tenancy.UserID{user}, slices.DeleteFunc(d.Users, func(u tenancy.UserID) bool { return u == user })...)
	d.Users = d.Users[:min(len(d.Users), maxDeviceUsers)]
	return s.keepDevice(w, d)
}

// noteProved notes that the address was proved in this browser. Who may be a user of that address is not known by it: what
// they have set up besides has not been asked for.
func (s *Server) noteProved(w http.ResponseWriter, d device, email string) error {
	sum, now := d.sum(email), s.now()
	kept := slices.DeleteFunc(slices.Clone(d.Proved), func(p provedAddress) bool { return p.Sum == sum || !p.live(now) })
	d.Proved = append([]provedAddress{{sum, now.UTC().Truncate(time.Second)}}, kept...)
	d.Proved = d.Proved[:min(len(d.Proved), maxDeviceProved)]
	return s.keepDevice(w, d)
}

// hasProved reports whether the very address was proved in this browser.
func (d device) hasProved(email string, now time.Time) bool {
	if email == "" || len(d.Proved) == 0 {
		return false
	}
	sum := d.sum(email)
	return slices.ContainsFunc(d.Proved, func(p provedAddress) bool { return sameSecret(p.Sum, sum) && p.live(now) })
}

func (p provedAddress) live(now time.Time) bool { return now.Sub(p.At) < deviceProved }

func (d device) sum(email string) string {
	mac := hmac.New(sha256.New, []byte(d.Token))
	mac.Write([]byte("proved " + email))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// knows reports whether the user has signed in from this browser before.
func (d device) knows(user tenancy.UserID) bool { return user != "" && slices.Contains(d.Users, user) }

// name is what counters know the device by.
func (d device) name() string { return d.Secret.Hash().String()[:22] }
