package saml

import (
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/ssotest"
)

// FuzzConsume changes responses that the provider signed. Whatever becomes of them, they are about
// whom the provider signed them for, or refused.
func FuzzConsume(f *testing.F) {
	r := newRig(f)
	add := func(response string) {
		if raw, err := base64.StdEncoding.DecodeString(response); err == nil && len(raw) <= 64<<10 {
			f.Add(raw)
		}
	}
	for _, h := range ssotest.SAMLHonestResponses(r.ask) {
		add(h.Make(r.idp, r.ask, mallory))
	}
	for _, attack := range ssotest.SAMLAttacks() {
		add(attack.Make(r.idp, r.ask, alice, mallory))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkSameTree(t, raw)
		response := base64.StdEncoding.EncodeToString(raw)
		a, steps, err := r.c.Consume(response, r.now)
		if err != nil {
			if code(t, err) == "" || a.Subject != "" || len(steps) == 0 || steps[len(steps)-1].OK {
				t.Errorf("%+v %+v, %v", a, steps, err)
			}
			return
		}
		// Nothing that was signed for alice is in the seeds but what is refused for other reasons:
		// expired, for another audience. What is accepted was signed, and is read alike by others.
		if a.Subject != mallory.Subject && a.Subject != alice.Subject && a.Subject != mallory.Email {
			t.Errorf("about %q", a.Subject)
		}
		if subject := r.second(t, response); subject != "" && subject != a.Subject {
			t.Errorf("%q, and another reader says %q", a.Subject, subject)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	r := newRig(f)
	f.Add(r.idp.Metadata(), "")
	f.Add([]byte("\ufeff<!-- x -->"+published("", sso+slo+keyDescriptor("", ours().Certificate))), "https://idp.test/saml")
	f.Add([]byte(`<md:EntitiesDescriptor xmlns:md="`+nsMetadata+`">`+published("", sso)+`</md:EntitiesDescriptor>`), "")
	f.Fuzz(func(t *testing.T, document []byte, entityID string) {
		p, err := ParseMetadata(document, entityID, r.now)
		if err != nil {
			if code(t, err) == "" || p.EntityID != "" || p.Certificates != nil {
				t.Errorf("%+v, %v", p, err)
			}
			return
		}
		if err := p.Check(); err != nil || entityID != "" && p.EntityID != entityID {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

func FuzzReadLogout(f *testing.F) {
	r := newRig(f)
	for _, post := range []bool{false, true} {
		_, query, form := r.logout(f, post, ssotest.SAMLLogoutAsk{SessionIndex: "_s", RelayState: "a"})
		f.Add(query, form.Get("SAMLRequest"))
	}
	f.Fuzz(func(t *testing.T, query, request string) {
		for _, b := range []Binding{Redirect, Post} {
			l, err := r.c.ReadLogout(b, query, url.Values{"SAMLRequest": {request}}, r.now)
			if err != nil && (code(t, err) == "" || l.ID != "") || err == nil && (l.Subject != alice.Subject || l.ID == "") {
				t.Errorf("%s: %+v, %v", b, l, err)
			}
		}
	})
}

// FuzzWrapping moves, copies, renames and deletes parts of a response that the provider signed for
// mallory, and of one for alice that nobody signed. It may come out as mallory's, never as alice's.
func FuzzWrapping(f *testing.F) {
	r := newRig(f)
	tree := func(response string) *etree.Element {
		raw, err := base64.StdEncoding.DecodeString(response)
		if err != nil {
			f.Fatal(err)
		}
		d, err := parse(raw, false)
		if err != nil {
			f.Fatal(err)
		}
		return d.root
	}
	var genuine []*etree.Element
	for _, signed := range []ssotest.SAMLSigned{ssotest.AssertionSigned, ssotest.ResponseSigned, ssotest.BothSigned} {
		r.ask.Signed = signed
		genuine = append(genuine, tree(r.idp.Respond(r.ask, mallory)))
	}
	r.ask.Signed = ssotest.NothingSigned
	forged := tree(r.respond())
	f.Add([]byte{0})
	f.Add([]byte{0, 0, 3, 40, 1, 1, 2, 41, 2, 3, 1, 4})
	f.Add([]byte{1, 0, 0, 42, 1, 5, 7, 6, 2, 0, 40, 3, 3, 9, 9, 4, 4, 10, 10})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) == 0 || len(program) > 200 {
			return
		}
		root := genuine[int(program[0])%len(genuine)].Copy()
		other := forged.Copy()
		for program = program[1:]; len(program) >= 4; program = program[4:] {
			all := append(root.FindElements(".//*"), root)
			strange := append(other.FindElements(".//*"), other)
			one, two := all[int(program[1])%len(all)], all[int(program[2])%len(all)]
			third := strange[int(program[2])%len(strange)]
			place := int(program[3]) % (len(one.Child) + 1)
			switch program[0] % 8 {
			case 0: // something forged comes in
				one.InsertChildAt(place, third.Copy())
			case 1: // something genuine is there twice
				one.InsertChildAt(place, two.Copy())
			case 2: // something is gone
				if one != root {
					one.Parent().RemoveChild(one)
				}
			case 3: // something is in another's place
				if one != root {
					parent, at := one.Parent(), one.Index()
					parent.RemoveChild(one)
					parent.InsertChildAt(at, third.Copy())
				}
			case 4: // something has another's attributes
				for _, a := range third.Attr {
					one.CreateAttr(a.FullKey(), a.Value)
				}
			case 5: // a new root
				n := third.Copy()
				n.InsertChildAt(int(program[3])%(len(n.Child)+1), root)
				root = n
			case 6: // another name
				one.Tag, one.Space = third.Tag, third.Space
			case 7: // another's id
				if id, ok := attr(two, "ID"); ok {
					one.CreateAttr("ID", id)
				}
			}
		}
		b, err := serialize(root)
		if err != nil {
			return
		}
		checkSameTree(t, b)
		a, _, err := r.c.Consume(base64.StdEncoding.EncodeToString(b), r.now)
		if err == nil && (a.Subject != mallory.Subject || a.Email != mallory.Email || len(a.Groups) != 1) {
			t.Errorf("about %+v:\n%s", a, b)
		}
	})
}
