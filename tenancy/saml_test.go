package tenancy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// adfs is a connection of SAML at Acme, which is due.
func (w *world) adfs(edit func(*tenancy.SAMLConnection)) tenancy.Connection {
	w.t.Helper()
	s := tenancy.SAMLConnection{MetadataURL: "https://adfs.test/metadata"}
	if edit != nil {
		edit(&s)
	}
	var c tenancy.Connection
	w.must(func(tx store.Tx) (err error) {
		c, err = tenancy.SaveConnection(tx, tenancy.Connection{Organization: w.acme.ID, Name: "adfs", Type: "saml", SAML: &s}, operator, w.now)
		return err
	})
	w.events()
	return c
}

// due takes what is due.
func (w *world) dueSAML() (all []tenancy.SAMLCare) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		all, err = tenancy.DueSAML(tx, 10, w.now)
		return err
	})
	return all
}

// concludes has what is due come to something.
func (w *world) concludes(found *tenancy.SAMLProvider, fault string) (s tenancy.SAMLState, change tenancy.SAMLChange) {
	w.t.Helper()
	all := w.dueSAML()
	if len(all) != 1 {
		w.t.Fatalf("%d are due", len(all))
	}
	w.must(func(tx store.Tx) (err error) {
		s, change, err = tenancy.ConcludeSAML(tx, all[0], found, fault, w.now)
		return err
	})
	return s, change
}

// count counts the events since the last call. They are not kept for ever.
func (w *world) count(n map[string]int) {
	for _, e := range w.events() {
		n[e]++
	}
}

// published is a provider's metadata, with certificates that end when.
func published(entity string, ends ...time.Time) *tenancy.SAMLProvider {
	p := &tenancy.SAMLProvider{EntityID: entity, SSO: []tenancy.SAMLEndpoint{{Binding: "redirect", URL: entity + "/sso"}}}
	for i, end := range ends {
		p.Certificates = append(p.Certificates, tenancy.SAMLCertificate{DER: fmt.Append(nil, i, end), NotAfter: end})
	}
	return p
}

func TestAnotherSAMLProviderIsAnotherConnection(t *testing.T) {
	const here, there = "https://a.test/metadata", "https://b.test/metadata"
	url := func(at, entity string) tenancy.SAMLConnection {
		return tenancy.SAMLConnection{MetadataURL: at, EntityID: entity}
	}
	typed := func(entity string) tenancy.SAMLConnection {
		return tenancy.SAMLConnection{EntityID: entity, Provider: published(entity)}
	}
	file := func(entity string) tenancy.SAMLConnection {
		return tenancy.SAMLConnection{Provider: published(entity)}
	}
	for name, tt := range map[string]struct {
		was   tenancy.SAMLConnection
		known string // what was fetched
		is    tenancy.SAMLConnection
		same  bool
	}{
		"nothing changed":                          {url(here, ""), "A", url(here, ""), true},
		"nothing changed, nothing fetched":         {url(here, ""), "", url(here, ""), true},
		"another address, no entity id":            {url(here, ""), "A", url(there, ""), false},
		"another address, nothing fetched":         {url(here, ""), "", url(there, ""), false},
		"another address, the same entity id":      {url(here, "A"), "A", url(there, "A"), true},
		"another address, named as it was fetched": {url(here, ""), "A", url(there, "A"), true},
		"another address, named otherwise":         {url(here, ""), "A", url(there, "B"), false},
		"another entity id":                        {url(here, "A"), "A", url(here, "B"), false},
		"named otherwise than was fetched":         {url(here, ""), "A", url(here, "B"), false},
		"named, and nothing was fetched":           {url(here, ""), "", url(here, "A"), true},
		"not named any more":                       {url(here, "A"), "A", url(here, ""), true},
		"from an address to a file":                {url(here, ""), "A", file("A"), true},
		"from an address to another's file":        {url(here, ""), "A", file("B"), false},
		"from an address never fetched to a file":  {url(here, ""), "", file("A"), false},
		"from a file to an address, named":         {file("A"), "", url(here, "A"), true},
		"from a file to an address":                {file("A"), "", url(here, ""), false},
		"another's file":                           {file("A"), "", file("B"), false},
		"another file of the same":                 {file("A"), "", file("A"), true},
		"typed in, from a file":                    {file("A"), "", typed("A"), true},
		"case of the entity id":                    {file("https://a.test"), "", file("https://A.test"), false},
		"a file, though another was fetched once":  {file("A"), "B", file("B"), false},
	} {
		state := tenancy.SAMLState{}
		if tt.known != "" {
			state.Provider = published(tt.known)
		}
		if got := tenancy.SameSAMLProvider(tt.was, state, tt.is); got != tt.same {
			t.Errorf("%s: the same provider: %v", name, got)
		}
	}
}

func TestWhatIsKnownOfASAMLProvider(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	fetched := tenancy.SAMLConnection{MetadataURL: "https://a.test"}
	until := func(p *tenancy.SAMLProvider, at time.Time) *tenancy.SAMLProvider { p.ValidUntil = at; return p }
	for name, tt := range map[string]struct {
		c    tenancy.SAMLConnection
		s    tenancy.SAMLState
		want string // entity id; empty: nothing
	}{
		"nothing":                    {},
		"typed in":                   {c: tenancy.SAMLConnection{Provider: published("A")}, want: "A"},
		"fetched once, and not now":  {s: tenancy.SAMLState{Provider: published("A")}},
		"fetched":                    {c: fetched, s: tenancy.SAMLState{Provider: published("A")}, want: "A"},
		"typed in, and fetched once": {c: tenancy.SAMLConnection{Provider: published("A")}, s: tenancy.SAMLState{Provider: published("B")}, want: "A"},
		"fetched of another":         {c: tenancy.SAMLConnection{EntityID: "A", MetadataURL: "https://a.test"}, s: tenancy.SAMLState{Provider: published("B")}},
		"fetched of the one named":   {c: tenancy.SAMLConnection{EntityID: "A", MetadataURL: "https://a.test"}, s: tenancy.SAMLState{Provider: published("A")}, want: "A"},
		"valid a second more":        {c: fetched, s: tenancy.SAMLState{Provider: until(published("A"), now.Add(time.Second))}, want: "A"},
		"ended now":                  {c: fetched, s: tenancy.SAMLState{Provider: until(published("A"), now)}},
		"a file that has ended":      {c: tenancy.SAMLConnection{Provider: until(published("A"), now.Add(-day))}},
	} {
		p, ok := tenancy.KnownSAML(tt.c, tt.s, now)
		if ok != (tt.want != "") || ok && p.EntityID != tt.want {
			t.Errorf("%s: %v, %q", name, ok, p.EntityID)
		}
	}
}

func TestOneOfSeveralTakesASAMLConnection(t *testing.T) {
	w := newWorld(t)
	c := w.adfs(nil)
	first := w.dueSAML()
	if len(first) != 1 || first[0].Connection.ID != c.ID || len(w.dueSAML()) != 0 {
		t.Fatalf("%d are due, and then %d", len(first), len(w.dueSAML()))
	}
	w.now = w.now.Add(tenancy.SAMLLease)
	second := w.dueSAML()
	if len(second) != 1 {
		t.Fatal("it is never due again")
	}
	conclude := func(care tenancy.SAMLCare) error {
		return w.s.Update(t.Context(), func(tx store.Tx) error {
			_, _, err := tenancy.ConcludeSAML(tx, care, published("A", w.now.Add(1000*day)), "", w.now)
			return err
		})
	}
	if err := conclude(first[0]); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("the first, too late: %v", err)
	}
	if err := conclude(second[0]); err != nil {
		t.Error(err)
	}
	if err := conclude(second[0]); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("twice: %v", err)
	}
	// Nor is what was fetched from an address that is not the connection's any more.
	w.now = w.now.Add(tenancy.SAMLRefresh)
	care := w.dueSAML()[0]
	w.must(func(tx store.Tx) error {
		is := *c.SAML
		is.MetadataURL += "?other"
		c.SAML = &is
		_, err := tenancy.SaveConnection(tx, c, operator, w.now)
		return err
	})
	if err := conclude(care); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("from another address: %v", err)
	}
	// What is saved again as it was is not looked after anew.
	w.concludes(published("A", w.now.Add(1000*day)), "")
	w.must(func(tx store.Tx) error {
		_, err := tenancy.SaveConnection(tx, c, operator, w.now)
		return err
	})
	if n := len(w.dueSAML()); n != 0 {
		t.Errorf("%d are due, and nothing changed", n)
	}
	// A connection that is gone is nobody's.
	w.must(func(tx store.Tx) error { return tenancy.RemoveConnection(tx, w.acme.ID, c.ID, operator, w.now) })
	w.now = w.now.Add(2 * tenancy.SAMLRefresh)
	if n := len(w.dueSAML()); n != 0 {
		t.Errorf("%d are due, and there is none", n)
	}
}

func TestNothingPublishedTakesAProvidersNameOrItsLastCertificateAway(t *testing.T) {
	w := newWorld(t)
	w.adfs(nil)
	good := published("https://adfs.test", w.now.Add(1000*day))
	w.concludes(good, "")
	for name, found := range map[string]*tenancy.SAMLProvider{
		"another entity id":             published("https://evil.test", w.now.Add(1000*day)),
		"no entity id":                  published("", w.now.Add(1000*day)),
		"no certificate":                published("https://adfs.test"),
		"another entity id in capitals": published("https://ADFS.test", w.now.Add(1000*day)),
	} {
		w.now = w.now.Add(tenancy.SAMLRefresh)
		s, _ := w.concludes(found, "")
		if s.Fault == "" || s.Provider.EntityID != good.EntityID || len(s.Provider.Certificates) != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	w.now = w.now.Add(tenancy.SAMLRefresh)
	if s, change := w.concludes(good, ""); s.Fault != "" || change.Metadata || change.Failed {
		t.Errorf("it does not recover: %+v, %+v", s, change)
	}
	long := published(strings.Repeat("https://evil.test/", 1000), w.now.Add(day))
	w.now = w.now.Add(tenancy.SAMLRefresh)
	if s, _ := w.concludes(long, ""); len(s.Fault) > 1000 {
		t.Errorf("the fault has %d bytes", len(s.Fault))
	}
}

func TestACertificateThatEndsIsWarnedOfAtEachStepOnce(t *testing.T) {
	w := newWorld(t)
	w.adfs(nil)
	ends := w.now.Add(100 * day)
	var warned []int
	n := map[string]int{}
	look := func(p *tenancy.SAMLProvider) {
		t.Helper()
		defer w.count(n)
		if _, change := w.concludes(p, ""); change.Warn {
			warned = append(warned, change.ExpiresInDays)
		}
	}
	for w.now.Before(ends.Add(30 * day)) {
		look(published("A", ends.Add(-50*day), ends)) // the last counts
		w.now = w.now.Add(tenancy.SAMLRefresh)
	}
	if got := fmt.Sprint(warned); got != "[90 60 30 7 -1 -7 -14 -21 -28]" && got != "[90 60 30 7 -1 -8 -15 -22 -29]" {
		t.Errorf("warned %s days before the end", got)
	}
	if n[audit.SAMLCertificateRenewalRequired] != len(warned) || n[audit.SAMLCertificateRenewed] != 0 {
		t.Errorf("events %v", n)
	}
	// Another has come, good for long.
	clear(n)
	for range 3 {
		look(published("A", ends, w.now.Add(1000*day)))
		w.now = w.now.Add(tenancy.SAMLRefresh)
	}
	if n[audit.SAMLCertificateRenewed] != 1 || n[audit.SAMLCertificateRenewalRequired] != 0 {
		t.Errorf("events %v", n)
	}
	// One that ends soon itself is warned of, and not called renewed.
	warned = nil
	look(published("A", w.now.Add(20*day)))
	if fmt.Sprint(warned) != "[20]" {
		t.Errorf("warned %v", warned)
	}
}

func TestATypedInProvidersCertificateIsWarnedOfToo(t *testing.T) {
	w := newWorld(t)
	w.adfs(func(s *tenancy.SAMLConnection) {
		*s = tenancy.SAMLConnection{EntityID: "A", Provider: published("A", w.now.Add(5*day))}
	})
	if _, change := w.concludes(nil, ""); !change.Warn || change.ExpiresInDays != 5 {
		t.Errorf("%+v", change)
	}
}

func TestOurSAMLKeysTakeTurns(t *testing.T) {
	w := newWorld(t)
	c := w.adfs(nil)
	life := 2 * 365 * day
	n := map[string]int{}
	add := func(id string, anew bool) error {
		defer w.count(n)
		return w.s.Update(t.Context(), func(tx store.Tx) error {
			_, err := tenancy.AddSAMLKey(tx, w.acme.ID, c.ID, tenancy.SAMLKey{ID: id, Certificate: []byte(id), Private: []byte(id), ExpiresAt: w.now.Add(life)}, anew, operator, w.now)
			return err
		})
	}
	keys := func() (ids string) {
		t.Helper()
		w.must(func(tx store.Tx) error {
			s, err := tx.SAMLState(w.acme.ID, c.ID)
			ids = ""
			for _, k := range tenancy.SAMLKeys(s, w.now) {
				ids += k.ID
			}
			return err
		})
		return ids
	}
	want := func(ids string) {
		t.Helper()
		if got := keys(); got != ids {
			t.Errorf("%s: the keys are %q, want %q", w.now.Format(time.DateOnly), got, ids)
		}
	}
	begin := w.now
	at := func(d time.Duration) { w.now = begin.Add(d) }
	want("")
	if err := add("a", false); err != nil {
		t.Fatal(err)
	}
	want("a") // signs at once: there is no other
	if err := add("x", false); err != nil {
		t.Error(err)
	}
	want("a") // somebody else was first
	at(life - tenancy.SAMLKeyAhead - day)
	if err := add("x", false); err != nil {
		t.Error(err)
	}
	want("a") // not yet
	at(life - tenancy.SAMLKeyAhead)
	if err := add("b", false); err != nil {
		t.Fatal(err)
	}
	want("ab")
	at(life - tenancy.SAMLKeyAhead + tenancy.SAMLKeyNotice - time.Second)
	want("ab")
	at(life - tenancy.SAMLKeyAhead + tenancy.SAMLKeyNotice)
	want("ba")
	at(life - time.Second)
	want("ba")
	at(life)
	want("b")
	// By hand, and not before the last one signs.
	if err := add("c", true); err != nil {
		t.Fatal(err)
	}
	want("bc")
	if err := add("d", true); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("too soon: %v", err)
	}
	w.now = w.now.Add(tenancy.SAMLKeyNotice)
	want("cb")
	if err := add("d", true); err != nil {
		t.Error(err)
	}
	if n[audit.SAMLKeyCreated] != 4 || n[audit.SAMLKeyRetired] != 1 {
		t.Errorf("events %v", n)
	}
	for name, bad := range map[string]tenancy.SAMLKey{
		"no id":          {Certificate: []byte("x"), Private: []byte("x"), ExpiresAt: w.now.Add(life)},
		"no certificate": {ID: "x", Private: []byte("x"), ExpiresAt: w.now.Add(life)},
		"no key":         {ID: "x", Certificate: []byte("x"), ExpiresAt: w.now.Add(life)},
		"ended":          {ID: "x", Certificate: []byte("x"), Private: []byte("x"), ExpiresAt: w.now},
	} {
		err := w.s.Update(t.Context(), func(tx store.Tx) error {
			_, err := tenancy.AddSAMLKey(tx, w.acme.ID, c.ID, bad, true, operator, w.now)
			return err
		})
		if err == nil {
			t.Errorf("a key with %s", name)
		}
	}
}

// What nobody asked a provider for makes a member of one organization, and proves nothing elsewhere.
func TestWhomAProviderBringsByItself(t *testing.T) {
	w := newWorld(t)
	arrive := func(subject, email string, unasked bool) (in tenancy.SignedIn, err error) {
		err = w.s.Update(t.Context(), func(tx store.Tx) (err error) {
			in, err = tenancy.SignIn(tx, tenancy.Rules{DefaultRole: "member"}, tenancy.Assertion{
				Connection: w.okta.ID, Organization: w.acme.ID, Subject: subject, Email: email, Unasked: unasked,
			}, w.now)
			return err
		})
		return in, err
	}
	if _, err := arrive("gil", "gil@gmail.test", false); !errors.Is(err, tenancy.ErrNotVouched) {
		t.Errorf("asked: %v", err)
	}
	in, err := arrive("gil", "gil@gmail.test", true)
	if err != nil || in.ConfinedTo != w.acme.ID || !in.NewUser || !in.NewMember || in.User.EmailVerified || in.Membership.Status != policy.Active {
		t.Fatalf("%+v, %v", in, err)
	}
	// Later the subject is known, whoever began.
	if again, err := arrive("gil", "gil@gmail.test", false); err != nil || again.User.ID != in.User.ID || again.ConfinedTo != w.acme.ID {
		t.Errorf("%+v, %v", again, err)
	}
	// An own person is trusted as ever.
	if own, err := arrive("alice", "alice@acme.com", true); err != nil || own.ConfinedTo != "" || !own.User.EmailVerified {
		t.Errorf("%+v, %v", own, err)
	}
	if _, err := arrive("carol", "carol@globex.com", true); !errors.Is(err, tenancy.ErrNotVouched) {
		t.Errorf("somebody else's: %v", err)
	}
	// Whoever proves the address finds nothing there of the provider's.
	var proved tenancy.SignedIn
	w.must(func(tx store.Tx) (err error) {
		proved, err = tenancy.SignInByAddress(tx, tenancy.Rules{DefaultRole: "member"}, tenancy.Proven{Email: "gil@gmail.test"}, w.now)
		return err
	})
	if proved.User.ID != in.User.ID || !proved.Cleanse || !proved.User.EmailVerified {
		t.Errorf("%+v", proved)
	}
	w.must(func(tx store.Tx) error {
		if _, err := tx.Identity(w.okta.ID, "gil"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("the provider's identity stays: %v", err)
		}
		return nil
	})
}
