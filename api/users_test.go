package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestAUserIsCreatedReadChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	at := w.head()
	u := w.call("POST /user_management/users", map[string]any{
		"email": "Jo@ACME.com", "first_name": "Jo", "last_name": "Doe", "email_verified": true, "external_id": "u1", "metadata": map[string]any{"team": "a"}, "ip_address": "192.0.2.1",
	}).want(201)
	if u.get("email") != "jo@acme.com" || u.get("name") != "Jo Doe" || u.get("email_verified") != "true" || u.get("external_id") != "u1" || u.get("metadata.team") != "a" {
		t.Errorf("made %s", u.body)
	}
	for _, found := range []answer{w.call("GET /user_management/users/{id}", u.id()), w.call("GET /user_management/users/external_id/{external_id}", "u1")} {
		if found.want(200); string(found.body) != string(u.body) {
			t.Errorf("made %s, found %s", u.body, found.body)
		}
	}
	v := w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"last_name": "Roe", "locale": "de-CH", "metadata": nil, "external_id": nil}).want(200)
	if v.get("name") != "Jo Roe" || v.get("locale") != "de-CH" || v.get("external_id") != "" || fmt.Sprint(v.fields["metadata"]) != "map[]" || v.get("email_verified") != "true" {
		t.Errorf("changed to %s", v.body)
	}
	v = w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"name": "The Boss", "email": "boss@acme.com"}).want(200)
	if v.get("name") != "The Boss" || v.get("first_name") != "Jo" || v.get("email") != "boss@acme.com" || v.get("email_verified") != "false" {
		t.Errorf("an address nobody has proved: %s", v.body)
	}
	v = w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"first_name": "Joanna", "email_verified": true}).want(200)
	if v.get("name") != "The Boss" || v.get("email_verified") != "true" {
		t.Errorf("changed to %s", v.body)
	}
	w.call("PUT /user_management/users/{id}", u.id(), map[string]any{}).want(200)
	w.call("DELETE /user_management/users/{id}", u.id()).want(200)
	for _, gone := range []answer{w.call("GET /user_management/users/{id}", u.id()), w.call("PUT /user_management/users/{id}", u.id(), map[string]any{}), w.call("DELETE /user_management/users/{id}", u.id())} {
		gone.refused(404, "entity_not_found")
	}
	same(t, "events", w.eventsSince(at), []string{audit.UserCreated, audit.UserUpdated, audit.UserUpdated, audit.UserUpdated, audit.UserDeleted})
	w.call("POST /user_management/users", map[string]any{"email": "jo@acme.com"}).want(201) // the address is free again
}

func TestWhatIsWrongWithAUserIsSaidFieldByField(t *testing.T) {
	w := newWorld(t)
	u := w.call("POST /user_management/users", map[string]any{"email": "jo@acme.com", "external_id": "u1"}).want(201)
	other := w.call("POST /user_management/users", map[string]any{"email": "flo@acme.com"}).want(201)
	for _, c := range []struct {
		body   map[string]any
		status int
		code   string
		faults string
	}{
		{map[string]any{}, 422, "invalid_request_parameters", "email: required"},
		{map[string]any{"email": "no address"}, 422, "invalid_request_parameters", "email: invalid"},
		{map[string]any{"email": "JO@acme.com"}, 400, "user_creation_error", "email: email_not_available"},
		{map[string]any{"email": "a@b.com", "external_id": "u1"}, 400, "external_id_already_used", ""},
		{map[string]any{"email": "a@b.com", "password_hash": "x", "first_name": 1}, 422, "invalid_request_parameters", "first_name: invalid_type password_hash_type: required"},
		{map[string]any{"email": "a@b.com", "email_verified": "yes", "id": "user_1"}, 422, "invalid_request_parameters", "email_verified: invalid_type id: unknown"},
		{map[string]any{"email": "a@b.com", "first_name": strings.Repeat("x", 257)}, 422, "invalid_request_parameters", "first_name: invalid"},
	} {
		a := w.call("POST /user_management/users", c.body).refused(c.status, c.code)
		if got := strings.Join(a.faults(), " "); got != c.faults {
			t.Errorf("%v: %q, want %q", c.body, got, c.faults)
		}
	}
	w.call("PUT /user_management/users/{id}", other.id(), map[string]any{"email": "jo@acme.com"}).refused(400, "user_creation_error")
	w.call("PUT /user_management/users/{id}", other.id(), map[string]any{"external_id": "u1"}).refused(400, "external_id_already_used")
	w.call("PUT /user_management/users/{id}", other.id(), map[string]any{"locale": "<b>"}).refused(422, "invalid_request_parameters")
	w.call("PUT /user_management/users/{id}", other.id(), map[string]any{"email": ""}).refused(422, "invalid_request_parameters")
	w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"external_id": "u1", "email": "jo@acme.com"}).want(200)
}

func TestUsersAreListedByAddressAndOrganization(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	for query, want := range map[string][]string{
		"":                             {globex.user, acme.user},
		"?order=asc":                   {acme.user, globex.user},
		"?email=JO@acme.com":           {acme.user},
		"?email=nobody@acme.com":       {},
		"?email=nonsense":              {},
		"?organization_id=" + acme.org: {acme.user},
		"?organization=" + acme.org:    {acme.user},
		"?organization_id=org_1":       {},
		"?organization_id=org_1&email=jo@acme.com":              {},
		"?organization_id=" + globex.org + "&email=jo@acme.com": {},
		"?organization_id=" + acme.org + "&email=jo@acme.com":   {acme.user},
		"?organization_id=" + acme.org + "&after=" + acme.user:  {},
		"?limit=1&after=" + globex.user:                         {acme.user},
	} {
		same(t, query, w.call("GET /user_management/users", query).want(200).ids(), want)
	}
}

// browser gives the user a session on the login host and one on the host of the organization.
func (w *world) browser(user, org string) (parent, child session.ID) {
	w.t.Helper()
	n := strings.TrimPrefix(user, "user_") + strings.TrimPrefix(org, "org_")[20:]
	parent, child = session.ID("session_P"+n[22:]), session.ID("session_C"+n[22:])
	w.do(func(tx store.Tx) error {
		for _, s := range []session.Session{{ID: parent}, {ID: child, Parent: parent, Organization: tenancy.OrgID(org), Host: "acme.test"}} {
			s.User, s.Token = tenancy.UserID(user), session.NewToken().Hash()
			s.CreatedAt, s.SeenAt, s.ExpiresAt = w.now, w.now, w.now.Add(24*time.Hour)
			if err := tx.PutSession(s); err != nil {
				return err
			}
		}
		return nil
	})
	return parent, child
}

func (w *world) ended(id session.ID) bool {
	w.t.Helper()
	var ended bool
	w.do(func(tx store.Tx) error {
		s, err := tx.Session(id)
		ended = !s.EndedAt.IsZero()
		return err
	})
	return ended
}

func TestWithAUserGoesAllThatIsTheirs(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	parent, child := w.browser(p.user, p.org)
	user := tenancy.UserID(p.user)
	w.do(func(tx store.Tx) error {
		if err := factor.SetPassword(tx, user, factor.HashPassword("correct horse battery staple"), audit.System, w.now); err != nil {
			return err
		}
		return tx.PutIdentity(tenancy.Identity{Connection: "conn_1", Organization: tenancy.OrgID(p.org), Subject: "s", User: user})
	})
	at := w.head()
	w.call("DELETE /user_management/users/{id}", p.user).want(200)
	if !w.ended(parent) || !w.ended(child) {
		t.Error("a session lives on")
	}
	w.call("GET /user_management/organization_memberships/{id}", p.membership).refused(404, "entity_not_found")
	w.do(func(tx store.Tx) error {
		_, password := tx.Password(user)
		_, identity := tx.Identity("conn_1", "s")
		if password == nil || identity == nil {
			t.Errorf("password %v, identity %v", password, identity)
		}
		return nil
	})
	w.noKeyNames(p.user)
	same(t, "events", w.eventsSince(at), []string{
		audit.FactorRemoved, audit.SessionRevoked, audit.SessionRevoked, audit.SessionRevoked, audit.MembershipDeleted, audit.IdentityRemoved, audit.UserDeleted,
	})
}

// Attack 76: somebody sets up a password under an address that is not theirs, and an administrator says that
// the address is proved.
func TestAnAddressThatIsSaidToBeProvedLeavesNoFactorOfBefore(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	parent, _ := w.browser(p.user, p.org)
	w.do(func(tx store.Tx) error {
		return factor.SetPassword(tx, tenancy.UserID(p.user), factor.HashPassword("correct horse battery staple"), audit.System, w.now)
	})
	w.call("PUT /user_management/users/{id}", p.user, map[string]any{"email_verified": true}).want(200)
	w.do(func(tx store.Tx) error {
		if _, err := tx.Password(tenancy.UserID(p.user)); err == nil || !w.endedIn(tx, parent) {
			t.Error("a password or a session of before is left")
		}
		return nil
	})
}

func TestAnotherAddressEndsTheSessionsOfTheOneBefore(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	parent, child := w.browser(p.user, p.org)
	w.call("PUT /user_management/users/{id}", p.user, map[string]any{"name": "Jo", "email": "JO@acme.com"}).want(200)
	if w.ended(parent) || w.ended(child) {
		t.Error("ended, and the address is the same")
	}
	w.call("PUT /user_management/users/{id}", p.user, map[string]any{"email": "joanna@acme.com"}).want(200)
	if !w.ended(parent) || !w.ended(child) {
		t.Error("a session lives on")
	}
}

func (w *world) endedIn(tx store.Tx, id session.ID) bool {
	s, err := tx.Session(id)
	return err == nil && !s.EndedAt.IsZero()
}

func TestWithAnOrganizationGoesAllThatIsItsOwn(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	other := w.organizationNamed("Other")
	var users []string
	for i := range 120 { // more than goes in one transaction
		u := w.call("POST /user_management/users", map[string]any{"email": fmt.Sprintf("u%d@acme.com", i)}).want(201).id()
		w.call("POST /user_management/organization_memberships", map[string]any{"user_id": u, "organization_id": p.org}).want(201)
		users = append(users, u)
	}
	w.call("POST /user_management/organization_memberships", map[string]any{"user_id": p.user, "organization_id": other}).want(201)
	parent, child := w.browser(p.user, p.org)
	w.do(func(tx store.Tx) error {
		for i := range 120 {
			if err := tx.PutIdentity(tenancy.Identity{Connection: tenancy.ConnectionID(p.connection), Organization: tenancy.OrgID(p.org), Subject: fmt.Sprint(i), User: tenancy.UserID(users[i])}); err != nil {
				return err
			}
		}
		return nil
	})
	at := w.head()
	w.call("DELETE /organizations/{id}", p.org).want(202)
	if !w.ended(child) || w.ended(parent) {
		t.Error("the session in the organization lives on, or the person's own ended")
	}
	w.do(func(tx store.Tx) error {
		org := tenancy.OrgID(p.org)
		for m, err := range tx.Members(org) {
			t.Errorf("member %v, %v", m, err)
		}
		for d, err := range tx.Domains(org) {
			t.Errorf("domain %v, %v", d, err)
		}
		for c, err := range tx.Connections(org) {
			t.Errorf("connection %v, %v", c, err)
		}
		for r, err := range tx.Roles(org) {
			t.Errorf("role %v, %v", r, err)
		}
		for i, err := range tx.IdentitiesAt(tenancy.ConnectionID(p.connection)) {
			t.Errorf("identity %v, %v", i, err)
		}
		return nil
	})
	w.noKeyNames(p.org)
	events := w.eventsSince(at)
	count := map[string]int{}
	for _, e := range events {
		count[e]++
	}
	if events[0] != audit.OrganizationSuspended || events[len(events)-1] != audit.OrganizationDeleted || count[audit.MembershipDeleted] != 121 || count[audit.IdentityRemoved] != 120 ||
		count[audit.DomainDeleted] != 1 || count[audit.ConnectionDeleted] != 1 || count[audit.OrganizationRoleDeleted] != 1 {
		t.Errorf("first %s, last %s, in all %v", events[0], events[len(events)-1], count)
	}
	same(t, "what is left", w.call("GET /user_management/organization_memberships", "?user_id="+p.user).ids("organization_id"), []string{other})
}

func TestAPasswordIsSetIfItIsOneAndEndsWhatWasBegunByTheOneBefore(t *testing.T) {
	w := newWorld(t)
	hash := func(user string) (hash string) {
		w.do(func(tx store.Tx) error {
			p, err := tx.Password(tenancy.UserID(user))
			hash = p.Hash
			return err
		})
		return hash
	}
	const first, second = "violet anvil 47 harbour", "quiet tractor 90 meadow"
	u := w.call("POST /user_management/users", map[string]any{"email": "jo@acme.com", "password": first}).want(201)
	if !factor.MatchPassword(hash(u.id()), first) || strings.Contains(string(u.body), first) {
		t.Error("the password is not the one that was given, or is shown")
	}
	parent, _ := w.browser(u.id(), w.organizationNamed("Acme"))
	for password, code := range map[string]string{"": "password_too_short", "passwordpassword": "password_too_weak", strings.Repeat("long ", 1000): "password_too_long"} {
		a := w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"password": password}).refused(400, "password_strength_error")
		same(t, password, a.faults(), []string{"password: " + code})
		if password != "" && strings.Contains(string(a.body), password) {
			t.Errorf("%s quotes it", a.body)
		}
	}
	w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"password": nil}).want(200)
	if !factor.MatchPassword(hash(u.id()), first) || w.ended(parent) {
		t.Error("what was refused changed something")
	}
	// With the address said to be proved in the same breath, what was there before goes, and this stays.
	w.call("PUT /user_management/users/{id}", u.id(), map[string]any{"password": second, "email_verified": true}).want(200)
	if !factor.MatchPassword(hash(u.id()), second) || !w.ended(parent) {
		t.Error("not the new password, or a session lives on")
	}
	if said := w.log.String(); strings.Contains(said, first) || strings.Contains(said, second) {
		t.Error("the log has a password")
	}
}

// noKeyNames fails if a row or an index entry has the id in its key: whatever is added to what an organization or a user
// has must go with them.
func (w *world) noKeyNames(id string) {
	w.t.Helper()
	var b bytes.Buffer
	if _, err := w.s.Backup(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(b.String()) {
		var row struct {
			Key []string `json:"key"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			w.t.Fatal(err)
		}
		if rows++; slices.Contains(row.Key, id) {
			w.t.Errorf("%s is still in the key %q", id, row.Key)
		}
	}
	if rows < 10 {
		w.t.Errorf("the backup has %d rows", rows)
	}
}

func TestAPasswordIsImportedByItsHashAndHashedAnewWhenItIsTyped(t *testing.T) {
	w := newWorld(t)
	const hash = "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K" // of oldPassword, by crypt(3)
	jo := w.userAt("jo@acme.com", map[string]any{"password_hash": hash, "password_hash_type": "bcrypt"})
	if !w.signsIn(jo, oldPassword) || w.signsIn(jo, newPassword) {
		t.Error("the password is not the one that was hashed")
	}
	flo := w.userAt("flo@acme.com", map[string]any{"password": newPassword})
	w.call("PUT /user_management/users/{id}", flo, map[string]any{
		"password_hash": "PT7NB1B2A4OlzWox1NgpSt0YKawNe+BkcIP3OEfdMl4AAQIDBAUGBwgJCgsMDQ4P", "password_hash_type": "ssha256", "password_salt_position": "prefix",
	}).want(200)
	if !w.signsIn(flo, oldPassword) || w.signsIn(flo, newPassword) {
		t.Error("the hash is not in the place of the password")
	}
	for _, c := range []struct {
		body   map[string]any
		status int
		code   string
		faults string
	}{
		{map[string]any{"password": oldPassword, "password_hash": hash, "password_hash_type": "bcrypt"}, 400, "password_and_password_hash_provided", ""},
		{map[string]any{"password": oldPassword, "password_hash_type": "bcrypt"}, 400, "password_and_password_hash_type_provided", ""},
		{map[string]any{"password_salt_position": "prefix"}, 400, "password_salt_position_requires_password_hash", ""},
		{map[string]any{"password_hash": hash}, 422, "invalid_request_parameters", "password_hash_type: required"},
		{map[string]any{"password_hash_type": "bcrypt"}, 422, "invalid_request_parameters", "password_hash: required"},
		{map[string]any{"password_hash": hash, "password_hash_type": "md5"}, 422, "invalid_request_parameters", "password_hash_type: invalid"},
		{map[string]any{"password_hash": hash, "password_hash_type": "bcrypt", "password_salt_position": "prefix"}, 422, "invalid_request_parameters", "password_salt_position: invalid"},
		{map[string]any{"password_hash": "$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password_hash_type": "argon2"}, 422, "invalid_request_parameters", "password_hash: not_supported"},
		{map[string]any{"password_hash": hash, "password_hash_type": "scrypt"}, 400, "invalid_password_hash", ""},
		{map[string]any{"password_hash": "$2b$31$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K", "password_hash_type": "bcrypt"}, 400, "invalid_password_hash", ""},
	} {
		for _, pattern := range []string{"POST /user_management/users", "PUT /user_management/users/{id}"} {
			args, body := []any{}, map[string]any{}
			maps.Copy(body, c.body)
			if strings.HasPrefix(pattern, "PUT") {
				args = append(args, flo)
			} else {
				body["email"] = "mo@acme.com"
			}
			a := w.call(pattern, append(args, body)...).refused(c.status, c.code)
			if got := strings.Join(a.faults(), " "); got != c.faults {
				t.Errorf("%s %v: %q, want %q", pattern, c.body, got, c.faults)
			}
			if strings.Contains(string(a.body), "abcdefghijkl") {
				t.Errorf("the answer quotes the hash: %s", a.body)
			}
		}
	}
	w.nobodyHears(oldPassword)
}
