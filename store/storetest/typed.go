package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func runTyped(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"WhatIsUniqueBelongsToOne", unique},
		{"AChangedFieldIsFoundByItsNewValueOnly", indexesFollow},
		{"AMemberOfOneOrganizationIsNobodyInAnother", isolation},
		{"AnEmptyOrganizationIsAnErrorAndNeverAll", emptyOrganization},
		{"WhatIsNotThereIsErrNotFound", notFound},
		{"EveryUserIsListedOnce", everyUser},
		{"AListIsReadFromAnyPlaceBothWays", pages},
		{"WhatHasAnIDIsFoundByItWhileItIsThere", byID},
		{"AnswersAreKeptByKeyAndName", replayed},
		{"RowsOfAnOlderVersionGetTheirIndexEntries", reindexed},
		{"AdministratorsAreFoundWhoeverElseIsAMember", adminRows},
		{"AdministratorsOfAnOlderVersionAreFound", reindexedAdmins},
		{"WhomAnOlderVersionWritesAfterwardsIsFoundInTheEnd", settledAdmins},
		{"PermissionsAndTheRolesOfAllOrganizationsAreListed", permissionRows},
		{"AKeyThatNamesNothingIsRefused", badKeys},
		{"SessionsAreFoundByAllThatEndsThem", sessionIndexes},
		{"ALoopMayEndTheSessionsThatItFinds", endWhileListing},
		{"AOneTimeThingIsUsedOnce", useOnce},
		{"DomainsAreDueInTheOrderOfTheirTimes", dueDomains},
		{"StatesOfSAMLConnectionsAreDueInTheOrderOfTheirTimes", samlDue},
		{"AnAnswerWaitsUntilItIsOver", answersWait},
		{"RecordsOutliveWhatTheyAreAboutAndNoMore", typedExpiry},
		{"WhatAClientHoldsIsFoundByItsHashForItsTime", clientThings},
		{"AnInvitationIsFoundUntilItIsSettled", invitationRows},
		{"GroupsAndTheirMembersAreFoundBothWays", groupRows},
		{"DirectoriesAreOneOrganizationsEach", directoryRows},
		{"AKeyForTheAppIsFoundByItsHashUntilItIsDeleted", appKeyRows},
		{"FactorsAreTheirUsersAlone", factorRows},
		{"OfOneRequestOneCodeIsLive", liveCodes},
		{"CodesAndCountersExpireAndFactorsDoNot", countersAndCodesExpire},
		{"NoCountIsLost", countsAreExact},
		{"OneOfManyTakesASlug", slugRace},
		{"AnEventIsThereIfItsChangeIs", events},
		{"OnCommitHearsOfCommittedRunsOnly", onCommit},
		{"AFollowerHasAllThatWasCommitted", follower},
		{"FilesOfCertificatesAreFoundInTheirDirectories", certificateRows},
		{"MailComesInTheOrderInWhichItIsDue", mailDue},
		{"OneOfManyTakesAPlace", mailPlaces},
		{"MailIsClaimedByOneOfMany", mailShared},
		{"WebhooksAreDueInTheOrderOfTheFeedAndNoEndpointsAreAnothers", webhooksDue},
		{"AWebhookGoesWhenItsEventDoes", webhooksExpire},
		{"AURLIsOneEndpointsUntilThatIsDeleted", webhookURLs},
		{"AnEventIsQueuedOnceHoweverManyTry", webhooksQueuedOnce},
		{"OneOfManyHoldsTheLease", webhookLease},
		{"EntriesOfALogAreInTheOrderOfTheirNumbersAndNoOthers", logRows},
		{"AnActionHasItsOwnSchemasInTheirOrder", schemaRows},
		{"EventsAreFoundByTimeAndByID", webhookReplay},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, h) })
	}
}

func everyUser(t *testing.T, h Harness) {
	s := open(t, h, nil)
	put(t, s, tenancy.User{ID: "user_2", Email: "flo@acme.com"}, tenancy.User{ID: "user_1", Email: "jo@acme.com"})
	put(t, s, tenancy.User{ID: "user_2", Email: "flora@acme.com"})
	look(t, s, func(tx store.Tx) {
		got := list(t, tx.Users(), func(u tenancy.User) string { return string(u.ID) + " " + u.Email })
		if want := []string{"user_1 jo@acme.com", "user_2 flora@acme.com"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func open(t testing.TB, h Harness, now func() time.Time) *store.Store {
	t.Helper()
	return store.New(h.Open(t, now), store.Options{Now: now})
}

func do(t testing.TB, s *store.Store, f func(store.Tx) error) {
	t.Helper()
	if err := s.Update(context.WithoutCancel(t.Context()), f); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func look(t testing.TB, s *store.Store, f func(store.Tx)) {
	t.Helper()
	err := s.View(context.WithoutCancel(t.Context()), func(tx store.Tx) error { f(tx); return nil })
	if err != nil {
		t.Fatalf("view: %v", err)
	}
}

// putAll puts one object after the other.
func putAll(tx store.Tx, objects ...any) error {
	for _, o := range objects {
		var err error
		switch o := o.(type) {
		case tenancy.Organization:
			err = tx.PutOrganization(o)
		case tenancy.Domain:
			err = tx.PutDomain(o)
		case tenancy.Connection:
			err = tx.PutConnection(o)
		case tenancy.User:
			err = tx.PutUser(o)
		case tenancy.Identity:
			err = tx.PutIdentity(o)
		case tenancy.Membership:
			err = tx.PutMembership(o)
		case tenancy.Role:
			err = tx.PutRole(o)
		case tenancy.Invitation:
			err = tx.PutInvitation(o)
		case tenancy.Permission:
			err = tx.PutPermission(o)
		case session.Session:
			err = tx.PutSession(o)
		case session.Answer:
			err = tx.PutAnswer(o)
		case tenancy.SAMLState:
			err = tx.PutSAMLState(o)
		case session.Handover:
			err = tx.PutHandover(o)
		case session.APIKey:
			err = tx.PutAPIKey(o)
		case session.Replay:
			err = tx.PutReplay(o)
		case session.SigningKey:
			err = tx.PutSigningKey(o)
		case outbox.Message:
			err = tx.PutOutboxMessage(o)
		case hook.Endpoint:
			err = tx.PutWebhookEndpoint(o)
		case hook.Delivery:
			err = tx.PutWebhookDelivery(o)
		case hook.Health:
			err = tx.PutWebhookHealth(o)
		case hook.Replay:
			err = tx.PutWebhookReplay(o)
		case hook.Lease:
			err = tx.PutWebhookLease(o)
		case factor.Password:
			err = tx.PutPassword(o)
		case factor.TOTP:
			err = tx.PutTOTP(o)
		case factor.RecoveryCodes:
			err = tx.PutRecoveryCodes(o)
		case factor.Passkey:
			err = tx.PutPasskey(o)
		case factor.EmailCode:
			err = tx.PutEmailCode(o)
		case factor.Counter:
			err = tx.PutCounter(o)
		default:
			var done bool
			if done, err = putHeld(tx, o); !done {
				err = fmt.Errorf("no Put for %T", o)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func put(t testing.TB, s *store.Store, objects ...any) {
	t.Helper()
	do(t, s, func(tx store.Tx) error { return putAll(tx, objects...) })
}

func list[T any](t testing.TB, seq iter.Seq2[T, error], name func(T) string) []string {
	t.Helper()
	var names []string
	for v, err := range seq {
		if err != nil {
			t.Errorf("list: %v", err)
			break
		}
		names = append(names, name(v))
	}
	return names
}

func sessionNames(t testing.TB, seq iter.Seq2[session.Session, error]) []string {
	t.Helper()
	names := list(t, seq, func(s session.Session) string { return string(s.ID) })
	slices.Sort(names)
	return names
}

func hash(s string) session.Hash {
	var h session.Hash
	copy(h[:], s)
	return h
}

func unique(t *testing.T, h Harness) {
	s := open(t, h, nil)
	verified := func(org tenancy.OrgID, state tenancy.DomainState) tenancy.Domain {
		return tenancy.Domain{ID: tenancy.DomainID("org_domain_" + org), Organization: org, Name: "acme.com", State: state}
	}
	put(t, s,
		tenancy.Organization{ID: "org_a", Slug: "acme", Hosts: []string{"portal.acme.com", "portal.acme.com"}},
		tenancy.Organization{ID: "org_b", Slug: "beta"},
		verified("org_a", tenancy.DomainVerified), verified("org_b", tenancy.DomainPending),
		tenancy.Connection{ID: "conn_1", Organization: "org_a", Name: "okta"},
		tenancy.User{ID: "user_1", Email: "jo@acme.com"},
		session.Session{ID: "session_1", User: "user_1", Token: hash("1"), ExpiresAt: time.Now().Add(time.Hour)})
	for name, object := range map[string]any{
		"slug":            tenancy.Organization{ID: "org_b", Slug: "acme"},
		"custom host":     tenancy.Organization{ID: "org_b", Slug: "beta", Hosts: []string{"b.example", "portal.acme.com"}},
		"verified domain": verified("org_b", tenancy.DomainVerified),
		"connection name": tenancy.Connection{ID: "conn_2", Organization: "org_a", Name: "okta"},
		"address":         tenancy.User{ID: "user_2", Email: "jo@acme.com"},
		"session token":   session.Session{ID: "session_2", User: "user_1", Token: hash("1"), ExpiresAt: time.Now().Add(time.Hour)},
	} {
		err := s.Update(t.Context(), func(tx store.Tx) error { return putAll(tx, object) })
		if !errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("a second owner of a %s: %v, want ErrTaken", name, err)
		}
	}
	// What is not unique, and one's own.
	put(t, s,
		tenancy.Connection{ID: "conn_2", Organization: "org_b", Name: "okta"},
		tenancy.Organization{ID: "org_a", Slug: "acme", Hosts: []string{"portal.acme.com"}, Name: "Acme"},
		tenancy.User{ID: "user_1", Email: "jo@acme.com", Name: "Jo"},
		verified("org_a", tenancy.DomainVerified))
	look(t, s, func(tx store.Tx) {
		if d, err := tx.VerifiedDomain("acme.com"); err != nil || d.Organization != "org_a" {
			t.Errorf("acme.com is verified by %q, %v", d.Organization, err)
		}
	})
}

func indexesFollow(t *testing.T, h Harness) {
	s := open(t, h, nil)
	put(t, s,
		tenancy.Organization{ID: "org_a", Slug: "old", Hosts: []string{"old.example", "both.example"}},
		tenancy.User{ID: "user_1", Email: "old@acme.com"},
		tenancy.Connection{ID: "conn_1", Organization: "org_a", Name: "old"},
		tenancy.Domain{Organization: "org_a", Name: "acme.com", State: tenancy.DomainVerified},
		tenancy.Domain{Organization: "org_a", Name: "acme.au", State: tenancy.DomainVerified},
		tenancy.Identity{Connection: "conn_1", Subject: "sub", User: "user_1"},
		tenancy.Membership{ID: "om_1", Organization: "org_a", User: "user_1"})
	do(t, s, func(tx store.Tx) error {
		err := putAll(tx,
			tenancy.Organization{ID: "org_a", Slug: "new", Hosts: []string{"both.example", "new.example"}},
			tenancy.User{ID: "user_1", Email: "new@acme.com"},
			tenancy.User{ID: "user_2", Email: "old@acme.com"}, // free again, at once
			tenancy.Connection{ID: "conn_1", Organization: "org_a", Name: "new"},
			tenancy.Domain{Organization: "org_a", Name: "acme.com", State: tenancy.DomainFailed},
			tenancy.Identity{Connection: "conn_1", Subject: "sub", User: "user_2"})
		return errors.Join(err, tx.DeleteDomain("org_a", "acme.au"), tx.DeleteMembership("org_a", "user_1"))
	})
	look(t, s, func(tx store.Tx) {
		for slug, want := range map[tenancy.Slug]tenancy.OrgID{"old": "", "new": "org_a"} {
			if o, err := tx.OrganizationBySlug(slug); o.ID != want || (err == nil) != (want != "") {
				t.Errorf("slug %s finds %q, %v; want %q", slug, o.ID, err, want)
			}
		}
		for host, want := range map[string]tenancy.OrgID{"old.example": "", "both.example": "org_a", "new.example": "org_a"} {
			if o, err := tx.OrganizationByHost(host); o.ID != want || (err == nil) != (want != "") {
				t.Errorf("host %s finds %q, %v; want %q", host, o.ID, err, want)
			}
		}
		for email, want := range map[string]tenancy.UserID{"old@acme.com": "user_2", "new@acme.com": "user_1"} {
			if u, err := tx.UserByEmail(email); u.ID != want || err != nil {
				t.Errorf("address %s finds %q, %v; want %q", email, u.ID, err, want)
			}
		}
		for _, name := range []string{"acme.com", "acme.au"} {
			if _, err := tx.VerifiedDomain(name); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s is still verified: %v", name, err)
			}
		}
		identity := func(i tenancy.Identity) string { return i.Subject }
		if got := list(t, tx.Identities("user_1"), identity); len(got) != 0 {
			t.Errorf("the identity that moved is still the first user's: %v", got)
		}
		if got := list(t, tx.Identities("user_2"), identity); !slices.Equal(got, []string{"sub"}) {
			t.Errorf("the second user has identities %v", got)
		}
		if got := list(t, tx.Memberships("user_1"), func(m tenancy.Membership) string { return string(m.ID) }); len(got) != 0 {
			t.Errorf("the membership that was deleted is still the user's: %v", got)
		}
	})
	// The names are free, and what was deleted can be made anew.
	put(t, s,
		tenancy.Organization{ID: "org_b", Slug: "old", Hosts: []string{"old.example"}},
		tenancy.Connection{ID: "conn_2", Organization: "org_a", Name: "old"},
		tenancy.Domain{Organization: "org_b", Name: "acme.com", State: tenancy.DomainVerified})
	do(t, s, func(tx store.Tx) error {
		return errors.Join(tx.DeleteConnection("org_a", "conn_2"), tx.DeleteIdentity("conn_1", "sub"),
			tx.DeleteConnection("org_a", "never there"), tx.DeleteIdentity("conn_1", "never there"),
			tx.DeleteRole("org_a", "never there"), tx.DeleteSigningKey("never there"))
	})
	put(t, s, tenancy.Connection{ID: "conn_3", Organization: "org_a", Name: "old"})
}

// dueDomains also moves, in a loop over what is due, what it finds.
func dueDomains(t *testing.T, h Harness) {
	s := open(t, h, nil)
	domain := func(org, name string, next time.Time) tenancy.Domain {
		return tenancy.Domain{Organization: tenancy.OrgID(org), Name: name, State: tenancy.DomainVerified, Checks: tenancy.Checks{Next: next}}
	}
	put(t, s,
		domain("org_b", "b1.example", noon.Add(-time.Second)),
		domain("org_a", "a1.example", noon.Add(-time.Hour).In(time.FixedZone("", -9*3600))),
		domain("org_a", "a2.example", noon),
		domain("org_a", "a3.example", noon.Add(time.Second)),
		domain("org_b", "never.example", time.Time{}))
	due := func(now time.Time, want ...string) {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			if got := list(t, tx.DueDomains(now), func(d tenancy.Domain) string { return d.Name }); !slices.Equal(got, want) {
				t.Errorf("at %s %q are due, want %q", now, got, want)
			}
		})
	}
	due(noon.Add(-2 * time.Hour))
	due(noon, "a1.example", "b1.example", "a2.example")
	due(noon.Add(time.Second), "a1.example", "b1.example", "a2.example", "a3.example")
	do(t, s, func(tx store.Tx) error {
		for d, err := range tx.DueDomains(noon) {
			if err != nil {
				return err
			}
			d.Checks.Next = noon.Add(time.Minute)
			if d.Name == "a1.example" {
				d.Checks.Next = time.Time{}
			}
			if err := tx.PutDomain(d); err != nil {
				return err
			}
		}
		return tx.DeleteDomain("org_a", "a3.example")
	})
	due(noon.Add(time.Second))
	due(noon.Add(time.Minute), "a2.example", "b1.example")
}

func notFound(t *testing.T, h Harness) {
	s := open(t, h, nil)
	look(t, s, func(tx store.Tx) {
		errs := map[string]error{}
		for _, id := range []string{"x", "", "\xff\xfe not UTF-8", string(make([]byte, 5000))} {
			_, errs["Organization "+id] = tx.Organization(tenancy.OrgID(id))
			_, errs["OrganizationBySlug "+id] = tx.OrganizationBySlug(tenancy.Slug(id))
			_, errs["OrganizationByHost "+id] = tx.OrganizationByHost(id)
			_, errs["Domain "+id] = tx.Domain("org", id)
			_, errs["VerifiedDomain "+id] = tx.VerifiedDomain(id)
			_, errs["Connection "+id] = tx.Connection("org", tenancy.ConnectionID(id))
			_, errs["User "+id] = tx.User(tenancy.UserID(id))
			_, errs["UserByEmail "+id] = tx.UserByEmail(id)
			_, errs["Identity "+id] = tx.Identity("conn", id)
			_, errs["Membership "+id] = tx.Membership("org", tenancy.UserID(id))
			_, errs["Role "+id] = tx.Role("", id)
			_, errs["Session "+id] = tx.Session(session.ID(id))
			_, errs["OutboxMessage "+id] = tx.OutboxMessage(outbox.ID(id))
			_, errs["Password "+id] = tx.Password(tenancy.UserID(id))
			_, errs["TOTP "+id] = tx.TOTP(tenancy.UserID(id))
			_, errs["RecoveryCodes "+id] = tx.RecoveryCodes(tenancy.UserID(id))
			_, errs["Passkey "+id] = tx.Passkey(id)
			_, errs["EmailCode "+id] = tx.EmailCode(id)
			_, errs["Counter "+id] = tx.Counter("scope", id)
		}
		_, errs["SessionByToken"] = tx.SessionByToken(session.Hash{})
		_, errs["Handover"] = tx.Handover(session.Hash{})
		for name, err := range errs {
			if !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%.40q: %v, want ErrNotFound", name, err)
			}
		}
	})
}

func badKeys(t *testing.T, h Harness) {
	s := open(t, h, nil)
	soon := time.Now().Add(time.Hour)
	for name, object := range map[string]any{
		"organization without id":   tenancy.Organization{Slug: "a"},
		"organization without slug": tenancy.Organization{ID: "org_a"},
		"user without address":      tenancy.User{ID: "user_1"},
		"subject that JSON mangles": tenancy.Identity{Connection: "c", Subject: "a\xff", User: "u"},
		"identity without subject":  tenancy.Identity{Connection: "c", User: "u"},
		"identity without user":     tenancy.Identity{Connection: "c", Subject: "s"},
		"subject without end":       tenancy.Identity{Connection: "c", Subject: string(make([]byte, store.MaxKey)), User: "u"},
		"session without token":     session.Session{ID: "session_1", User: "u", ExpiresAt: soon},
		"session without user":      session.Session{ID: "session_1", Token: hash("1"), ExpiresAt: soon},
		"hand-over without code":    session.Handover{ExpiresAt: soon},
		"mail without id":           outbox.Message{ExpiresAt: soon},
	} {
		err := s.Update(t.Context(), func(tx store.Tx) error { return putAll(tx, object) })
		if err == nil || errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("%s: %v, want an error of its own", name, err)
		}
	}
	// Two subjects that differ in a byte that is easily lost are two.
	put(t, s, tenancy.Identity{Connection: "c", Subject: "s", User: "u1"}, tenancy.Identity{Connection: "c", Subject: "s\x00", User: "u2"}, tenancy.Identity{Connection: "c", Subject: "S", User: "u3"})
	look(t, s, func(tx store.Tx) {
		for subject, want := range map[string]tenancy.UserID{"s": "u1", "s\x00": "u2", "S": "u3"} {
			if i, err := tx.Identity("c", subject); err != nil || i.User != want || i.Subject != subject {
				t.Errorf("subject %q is %q's, %v; want %q", subject, i.User, err, want)
			}
		}
	})
}

func slugRace(t *testing.T, h Harness) {
	s := open(t, h, nil)
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				return tx.PutOrganization(tenancy.Organization{ID: tenancy.OrgID(fmt.Sprint("org_", i)), Slug: "acme"})
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, tenancy.ErrTaken):
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	look(t, s, func(tx store.Tx) {
		if n := len(list(t, tx.Organizations(), func(o tenancy.Organization) string { return string(o.ID) })); n != 1 || won.Load() != 1 {
			t.Errorf("%d were told that they have the slug, %d have it; want 1", won.Load(), n)
		}
	})
}

func event(n int, at time.Time) audit.Event {
	return audit.Event{ID: fmt.Sprint("event_", n), Name: "user.updated", At: at, Actor: audit.System, User: "user_1"}
}
