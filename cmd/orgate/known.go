package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

// A known is one thing that the store knows, as explain needs it: settings without their
// secrets, and people without what they prove themselves with. Lines of them are what the
// running orgate answers on its control socket.
type known struct {
	Organization *tenancy.Organization `json:"organization,omitzero"`
	Domain       *tenancy.Domain       `json:"domain,omitzero"`
	Connection   *tenancy.Connection   `json:"connection,omitzero"`
	Role         *tenancy.Role         `json:"role,omitzero"`
	Person       *person               `json:"person,omitzero"`
	// End is the last line, so that an answer that was cut off is not taken for whole.
	End bool `json:"end,omitzero"`
}

type person struct {
	session.Person
	Identities []tenancy.Identity `json:"identities,omitzero"`
}

// An asking is what is to be told of what is known: all settings, then people.
type asking struct {
	settings bool
	// everybody, or whoever has the address; neither: nobody.
	everybody bool
	email     string
}

// knowledge is where what is known comes from: it hands to the function what is asked for.
type knowledge func(ctx context.Context, a asking, f func(known) error) error

// knowledgeOf is what the store of the configuration knows. A store that was never made
// knows nothing, and is not made.
func knowledgeOf(c *config.Config) knowledge {
	return func(ctx context.Context, a asking, f func(known) error) error {
		if c.Store.Postgres == nil {
			if _, err := os.Stat(filepath.Join(string(c.Store.Badger.Dir), "MANIFEST")); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
		}
		err := withStore(ctx, c, func(s *store.Store) error { return tell(ctx, s, a, f) })
		if errors.Is(err, store.ErrLocked) {
			return askKnown(ctx, string(c.Store.Badger.Dir), a, f)
		}
		return err
	}
}

// knowsNothing is the knowledge of a store with nothing in it.
func knowsNothing(context.Context, asking, func(known) error) error { return nil }

// tell reads the store, and changes nothing.
func tell(ctx context.Context, s *store.Store, a asking, f func(known) error) error {
	ran := false
	return s.View(ctx, func(tx store.Tx) error {
		if ran {
			return fmt.Errorf("%w: interrupted, try again", store.ErrUnavailable)
		}
		ran = true
		if a.settings {
			if err := tellSettings(tx, f); err != nil {
				return err
			}
		}
		for u, err := range peopleOf(tx, a) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			p, err := tellPerson(tx, u, !a.everybody)
			if err != nil {
				return err
			}
			if err := f(known{Person: &p}); err != nil {
				return err
			}
		}
		return nil
	})
}

func tellSettings(tx store.Tx, f func(known) error) error {
	for o, err := range tx.Organizations() {
		if err != nil {
			return err
		}
		if err := f(known{Organization: &o}); err != nil {
			return err
		}
		for d, err := range tx.Domains(o.ID) {
			if err != nil {
				return err
			}
			if err := f(known{Domain: &d}); err != nil {
				return err
			}
		}
		for c, err := range tx.Connections(o.ID) {
			if err != nil {
				return err
			}
			if c.OIDC != nil {
				settings := *c.OIDC
				settings.ClientSecret = nil
				c.OIDC = &settings
			}
			if err := f(known{Connection: &c}); err != nil {
				return err
			}
		}
		if err := tellRoles(tx, o.ID, f); err != nil {
			return err
		}
	}
	return tellRoles(tx, "", f)
}

func tellRoles(tx store.Tx, org tenancy.OrgID, f func(known) error) error {
	for r, err := range tx.Roles(org) {
		if err != nil {
			return err
		}
		if err := f(known{Role: &r}); err != nil {
			return err
		}
	}
	return nil
}

func peopleOf(tx store.Tx, a asking) iter.Seq2[tenancy.User, error] {
	if a.everybody {
		return tx.Users()
	}
	return func(yield func(tenancy.User, error) bool) {
		if a.email == "" {
			return
		}
		if u, err := tx.UserByEmail(a.email); !errors.Is(err, tenancy.ErrNotFound) {
			yield(u, err)
		}
	}
}

func tellPerson(tx store.Tx, u tenancy.User, withIdentities bool) (p person, err error) {
	p.User = u
	if p.Enrolled, err = tx.Enrolled(u.ID); err != nil {
		return p, err
	}
	for m, err := range tx.Memberships(u.ID) {
		if err != nil {
			return p, err
		}
		if !withIdentities {
			m.Attributes = nil // of no use to whoever compares, and long
		}
		p.Memberships = append(p.Memberships, m)
	}
	if !withIdentities {
		return p, nil
	}
	for i, err := range tx.Identities(u.ID) {
		if err != nil {
			return p, err
		}
		p.Identities = append(p.Identities, i)
	}
	return p, nil
}

// learn puts what is known into a store that is thrown away. There are no secrets in it: a
// factor is there as a sign that the person has it, and nobody can prove it.
func learn(tx store.Tx, k known) error {
	switch {
	case k.Organization != nil:
		return tx.PutOrganization(*k.Organization)
	case k.Domain != nil:
		return tx.PutDomain(*k.Domain)
	case k.Connection != nil:
		return tx.PutConnection(*k.Connection)
	case k.Role != nil:
		return tx.PutRole(*k.Role)
	case k.Person == nil:
		return nil
	}
	u := k.Person.User
	if err := tx.PutUser(u); err != nil {
		return err
	}
	for _, m := range k.Person.Memberships {
		if err := tx.PutMembership(m); err != nil {
			return err
		}
	}
	for _, i := range k.Person.Identities {
		if err := tx.PutIdentity(i); err != nil {
			return err
		}
	}
	for _, m := range k.Person.Enrolled.List() {
		if err := setUp(tx, u.ID, m); err != nil {
			return err
		}
	}
	return nil
}

// setUp puts a sign into a store that is thrown away that the person has a factor.
func setUp(tx store.Tx, user tenancy.UserID, m policy.Method) error {
	switch m {
	case policy.Password:
		return tx.PutPassword(factor.Password{User: user})
	case policy.TOTP:
		return tx.PutTOTP(factor.TOTP{User: user})
	case policy.RecoveryCode:
		return tx.PutRecoveryCodes(factor.RecoveryCodes{User: user, Hashes: []session.Hash{{1}}})
	case policy.Passkey:
		return tx.PutPasskey(factor.Passkey{ID: "of " + string(user), User: user})
	default:
		return nil
	}
}

// openScratch opens a store in memory that knows the settings, and whoever has the address, if
// one is given.
func openScratch(ctx context.Context, knows knowledge, email string) (_ *store.Store, err error) {
	e, err := badger.Open(badger.Options{InMemory: true})
	if err != nil {
		return nil, err
	}
	s := store.New(e, store.Options{})
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	var batch []known
	write := func() error {
		defer func() { batch = batch[:0] }()
		return s.Update(ctx, func(tx store.Tx) error {
			for _, k := range batch {
				if err := learn(tx, k); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = knows(ctx, asking{settings: true, email: email}, func(k known) error {
		if batch = append(batch, k); len(batch) < 500 {
			return nil
		}
		return write()
	})
	if err != nil {
		return nil, err
	}
	return s, write()
}

// serveKnown tells a command on this machine what the running orgate's store knows.
func (g *gateway) serveKnown(w http.ResponseWriter, r *http.Request) {
	lines := json.NewEncoder(w)
	err := tell(r.Context(), g.store, askingOf(r.URL.Query()), func(k known) error { return lines.Encode(k) })
	if err == nil {
		err = lines.Encode(known{End: true})
	}
	if err != nil {
		g.log.WarnContext(r.Context(), "telling a command what is known", "cause", err)
		panic(http.ErrAbortHandler) // cut off, so that it is not taken for whole
	}
}

// values are what is asked as the query of a URL; askingOf(a.values()) is a.
func (a asking) values() url.Values {
	return url.Values{"settings": {strconv.FormatBool(a.settings)}, "everybody": {strconv.FormatBool(a.everybody)}, "email": {a.email}}
}

func askingOf(q url.Values) asking {
	return asking{settings: q.Get("settings") == "true", everybody: q.Get("everybody") == "true", email: q.Get("email")}
}

// askKnown asks the process that has the store.
func askKnown(ctx context.Context, dir string, a asking, f func(known) error) error {
	return askRunning(ctx, dir, http.MethodGet, "/known?"+a.values().Encode(), nil, func(body io.Reader) error {
		lines := json.NewDecoder(bufio.NewReader(body))
		for {
			var k known
			switch err := lines.Decode(&k); {
			case errors.Is(err, io.EOF):
				return errors.New("what the running orgate knows was cut off")
			case err != nil:
				return fmt.Errorf("reading what the running orgate knows: %w", err)
			case k.End:
				return nil
			}
			if err := f(k); err != nil {
				return err
			}
		}
	})
}
