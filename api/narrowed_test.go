package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A narrowable is a list that can be narrowed to an organization, and what is in it.
type narrowable struct {
	pattern string
	owner   string   // what the path is of, if it is of something
	params  []string // the names of the parameter
	// filter is another filter that both organizations' things meet.
	filter            string
	acme, globex, all []string // newest first
	// wholeAcme and wholeGlobex are what a key for everything finds there.
	wholeAcme, wholeGlobex []string
}

// narrowables makes two organizations with two of everything that is listed, and a user who is a member of both.
func (w *world) narrowables() (acme, globex string, lists []narrowable) {
	w.t.Helper()
	acme, globex = w.organizationNamed("Acme"), w.organizationNamed("Globex")
	users, connections, directories, invitations, keys := narrowable{pattern: "GET /user_management/users", params: []string{"organization_id", "organization"}},
		narrowable{pattern: "GET /connections", params: []string{"organization_id"}, filter: "search=name"},
		narrowable{pattern: "GET /directories", params: []string{"organization_id"}, filter: "search=name"},
		narrowable{pattern: "GET /user_management/invitations", params: []string{"organization_id"}, filter: "email=new@else.test"},
		narrowable{pattern: "GET " + userKeys, params: []string{"organization_id"}}
	both := w.call("POST /user_management/users", object{"email": "both@acme.com"}).want(201).id()
	keys.owner, users.filter = both, "email=both@acme.com"
	add := func(l *narrowable, org, id string) {
		if l.all = append([]string{id}, l.all...); org == acme {
			l.acme = append([]string{id}, l.acme...)
		} else {
			l.globex = append([]string{id}, l.globex...)
		}
	}
	for i, org := range []string{acme, globex} {
		w.call(omCreate, object{"user_id": both, "organization_id": org}).want(201)
		add(&keys, org, w.call("POST "+userKeys, both, object{"name": "a", "organization_id": org}).want(201).id())
		add(&keys, org, w.call("POST "+userKeys, both, object{"name": "b", "organization_id": org}).want(201).id())
		for j := range 2 {
			name := fmt.Sprintf("name%d%d", i, j)
			user, _ := w.member(org, name+"@acme.com")
			add(&users, org, user)
			add(&connections, org, w.connection(org, name))
			add(&directories, org, w.feed(name, org).dir)
		}
		add(&invitations, org, w.invite(object{"organization_id": org, "email": "new@else.test"}).want(201).id())
		add(&invitations, org, w.invite(object{"organization_id": org, "email": "newer@else.test"}).want(201).id())
	}
	invitations.all = append([]string{w.invite(object{"email": "app@else.test"}).want(201).id()}, invitations.all...)
	users.all, users.acme, users.globex = append(users.all, both), append(users.acme, both), append(users.globex, both)
	lists = []narrowable{users, connections, directories, invitations, keys}
	for i := range lists {
		lists[i].wholeAcme, lists[i].wholeGlobex = slices.Clone(lists[i].acme), slices.Clone(lists[i].globex)
	}
	// Whom an organization has but invited its key does not know.
	l := &lists[0]
	w.do(func(tx store.Tx) error {
		for _, email := range []string{"new@else.test", "newer@else.test"} {
			u, err := tx.UserByEmail(email)
			if err != nil {
				return err
			}
			l.all, l.wholeAcme, l.wholeGlobex = append(l.all, string(u.ID)), append(l.wholeAcme, string(u.ID)), append(l.wholeGlobex, string(u.ID))
		}
		return nil
	})
	for _, ids := range [][]string{l.all, l.wholeAcme, l.wholeGlobex} {
		slices.Sort(ids)
		slices.Reverse(ids)
	}
	return acme, globex, lists
}

// A list is narrowed to the organization that is asked for or, with a key for one, to that of the key. What such a key asks of
// another is a list of nothing, whatever else it asks for.
func TestAListIsNarrowedToTheOrganizationAskedForOrThatOfTheKey(t *testing.T) {
	w := newWorld(t)
	acme, globex, lists := w.narrowables()
	one := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme)})
	reader := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme), ReadOnly: true})
	for _, l := range lists {
		list := func(key, query string) []string {
			t.Helper()
			args := []any{query}
			if l.owner != "" {
				args = []any{l.owner, query}
			}
			return w.as(key, l.pattern, args...).want(200).ids()
		}
		what := l.pattern + " "
		same(t, what+"all", list(w.secret, ""), l.all)
		same(t, what+"of the key's", list(one, ""), l.acme)
		for _, p := range l.params {
			is := func(key, org, query string, want []string) {
				t.Helper()
				q := "?" + p + "=" + org + query
				same(t, what+q, list(key, q), want)
			}
			is(w.secret, acme, "", l.wholeAcme)
			is(w.secret, globex, "", l.wholeGlobex)
			is(w.secret, "org_0", "", []string{})
			is(w.secret, "", "", l.all) // as if it were not given
			for _, key := range []string{one, reader} {
				is(key, acme, "", l.acme)
				is(key, "", "", l.acme)
				for _, other := range []string{globex, "org_0", "org_", acme[:len(acme)-1], acme + "0", strings.ToLower(acme), acme + "%20", acme + "%00", "*", "%FF"} {
					is(key, other, "", []string{})
				}
				// Cursors lead nowhere else, and neither do other filters.
				for _, query := range []string{"&order=asc", "&limit=1", "&after=" + l.globex[0], "&before=" + l.globex[1], "&" + l.filter} {
					is(key, globex, query, []string{})
				}
				is(key, acme, "&before="+l.globex[len(l.globex)-1], behind(l.acme, l.globex[len(l.globex)-1], true))
				is(key, acme, "&after="+l.globex[0], behind(l.acme, l.globex[0], false))
			}
			// One of two at once is not a way to both.
			if q := "?" + p + "=" + acme + "&" + p + "=" + globex; true {
				args := []any{q}
				if l.owner != "" {
					args = []any{l.owner, q}
				}
				w.as(one, l.pattern, args...).refused(422, "invalid_request_parameters")
			}
		}
		if l.filter != "" {
			for _, id := range list(one, "?"+l.filter) {
				if !slices.Contains(l.acme, id) {
					t.Errorf("%s by %s finds %s, which is another's", what, l.filter, id)
				}
			}
		}
	}
	// The two names of the parameter are one, and can't be given as two.
	w.as(one, "GET /user_management/users", "?organization_id="+acme+"&organization="+globex).refused(422, "invalid_request_parameters")
}

// behind are those of the ids, newest first, that come before a cursor or after it.
func behind(ids []string, cursor string, before bool) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return before != (id > cursor) })
}

// What a key for one organization asks of another is not even looked for: it costs what is read for an organization that does
// not exist, so that the time it takes tells nothing; and its own list does not cost what the others have.
func TestAListOfAnotherOrganizationCostsWhatOneOfNoneDoes(t *testing.T) {
	w, m := newMeteredWorld(t)
	acme, globex, lists := w.narrowables()
	const n = 300
	w.later(1e10)
	for i := range n {
		w.do(func(tx store.Tx) error {
			conn := tenancy.Connection{ID: tenancy.ConnectionID(fmt.Sprintf("conn_%026d", i)), Organization: tenancy.OrgID(globex), Name: fmt.Sprint("c", i), Type: "oidc"}
			if err := tx.PutConnection(conn); err != nil {
				return err
			}
			id := fmt.Sprintf("invitation_%026d", i)
			return tx.PutInvitation(tenancy.Invitation{ID: tenancy.InvitationID(id), Organization: tenancy.OrgID(globex), Email: "x@else.test", Token: id, RevokedAt: w.now})
		})
		w.feed(fmt.Sprint("f", i), globex)
	}
	crowd(t, w.s, globex, n)
	one := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme)})
	for _, l := range lists {
		cost := func(query string) int64 {
			t.Helper()
			w.later(1e10)
			args := []any{query}
			if l.owner != "" {
				args = []any{l.owner, query}
			}
			m.reads.Store(0)
			w.as(one, l.pattern, args...).want(200)
			return m.reads.Load()
		}
		own, none, others := cost(""), cost("?organization_id=org_0"), cost("?organization_id="+globex)
		if own > 60 || others != none {
			t.Errorf("%s: %d reads for its own, %d for another's, %d for nobody's", l.pattern, own, others, none)
		}
	}
}
