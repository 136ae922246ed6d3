package sso

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// errLinkFirst: a code by mail, or a provider's word, is less than what protects the account.
var errLinkFirst = errors.New("account is protected by more than its address")

// wants reports whether a social provider's proof is to be made anything of. Where a policy
// asks for another, such a provider's word makes no account and opens none. For somebody who is
// signed in and wants to link (link), it is what the policies ask of anybody with their address that
// counts; and they must have proved a moment ago who they are, as for every change of how they
// sign in.
func (s *Server) wants(tx store.Tx, t turn, who session.Session, p policy.Proof, link tenancy.UserID, now time.Time) (bool, error) {
	if link == "" {
		fresh := t.MaxAge <= 0 || !p.Undated && now.Sub(p.At) < t.MaxAge
		return t.open() && t.Local.Has(policy.Social) && fresh, nil
	}
	if fresh, err := s.provedFreshly(tx, who); err != nil || !fresh || who.User != link {
		return false, err
	}
	anybody, err := s.next(tx, aim{}, session.Session{}, t.Email, now)
	return err == nil && anybody.Local.Has(policy.Social), err
}

// mayLink returns errLinkFirst if whoever has proved the address of an account, and no more,
// must not add to what opens it: the mailbox would be a way around what does. The person has a
// passkey or a second factor; or the policies of t take no code by mail, and the person has
// something that they do take, or is known at another provider. (Of a provider that the operator
// trusts, the word is as good as that of another.)
//
// What is linked is good wherever the person goes. So if they are known at a social provider, and
// one of their organizations takes that and no code, it takes more than a code here, too.
//
// The error is [tenancy.ErrIdentityConflict] if the user is known at the provider under another
// subject: the address was given to somebody else there, who reads its mail now.
func (s *Server) mayLink(tx store.Tx, t turn, who session.Session, user tenancy.UserID, p SocialProvider, subject string, byCode bool) error {
	known, social := false, false
	for i, err := range tx.Identities(user) {
		if err != nil {
			return err
		}
		if i.Connection == p.Connection() {
			if i.Subject != subject {
				return tenancy.ErrIdentityConflict
			}
			continue // what is to be linked
		}
		known = byCode
		social = social || byCode && i.Organization == ""
	}
	if social && (who.User != user || !s.provedBeyondMail(who)) {
		if elsewhere, err := socialAlone(tx, user); err != nil || elsewhere {
			return cmp.Or(err, errLinkFirst)
		}
	}
	if who.User == user {
		if fresh, err := s.provedFreshly(tx, who); err != nil || fresh {
			return err
		}
	}
	have, err := tx.Enrolled(user)
	switch {
	case err != nil:
		return err
	case have.Has(policy.TOTP), have.Has(policy.Passkey), have.Has(policy.RecoveryCode):
		return errLinkFirst
	case !t.Local.Has(policy.EmailCode) && (have&t.Local != 0 || known):
		return errLinkFirst
	}
	return nil
}

// provedBeyondMail reports whether a session has proved a moment ago what whoever reads the
// person's mail can't: a code is sent there, and so is the way to another password.
func (s *Server) provedBeyondMail(who session.Session) bool {
	now := s.now()
	return slices.ContainsFunc(who.Proofs, func(p policy.Proof) bool {
		return p.Method != policy.EmailCode && p.Method != policy.Password && !p.Undated && now.Sub(p.At) < policy.EnrollWithin
	})
}

// socialAlone reports whether an organization that the person is a member of takes the word of a
// social provider and no code by mail.
func socialAlone(tx store.Tx, user tenancy.UserID) (bool, error) {
	for m, err := range tx.Memberships(user) {
		if err != nil {
			return false, err
		}
		o, err := tx.Organization(m.Organization)
		if err != nil {
			return false, err
		}
		if p := o.OrganizationPolicy; p != nil && p.Methods.Has(policy.Social) && !p.Methods.Has(policy.EmailCode) {
			return true, nil
		}
	}
	return false, nil
}

// linkIdentity is POST /account/identities/link: who is signed in wants an account at a
// social provider to open theirs. The guard has seen to it that they proved who they are a
// moment ago.
func (s *Server) linkIdentity(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, "provider")
	if err != nil {
		return err
	}
	who, ok := signedin.From(r.Context())
	p, known := s.socialNamed(form.Get("provider"))
	if !ok || !known || who.ConfinedTo != "" {
		http.Redirect(w, r, s.url(pathAccount), http.StatusSeeOther)
		return nil
	}
	var t turn
	err = s.store.View(r.Context(), func(tx store.Tx) error {
		u, err := tx.User(who.User)
		if err != nil {
			return err
		}
		t, err = s.next(tx, aim{}, session.Session{}, u.Email, s.now())
		t.Email, t.MaxAge = u.Email, 0
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case !t.Local.Has(policy.Social):
		return &endpoint.Error{
			Status: http.StatusForbidden, Code: "link_refused", Title: text.T("This account can't be linked"),
			Text: text.T("The rules that apply to you do not let you sign in by %s.", p.Label), ActionURL: s.url(pathAccount), ActionText: text.T("Your account"),
		}
	}
	return s.leaveSocial(w, r, aim{Next: nextAccount}, t, p, who.User)
}
