package github

import (
	"encoding/json"
	"testing"

	"github.com/orgate/orgate/sso/idp"
)

// FuzzEmails: whatever list there is, the address that is taken is the one primary one, and
// verified.
func FuzzEmails(f *testing.F) {
	for _, seed := range []string{
		`[]`, `null`, `[{"email":"a@b.test","primary":true,"verified":true}]`, `[{"email":"a@b.test","primary":true},{"email":"c@d.test","verified":true}]`,
		`[{"email":"a@b.test","primary":true,"verified":true},{"EMAIL":"c@d.test","Primary":true}]`, `[{"email":"1+a@users.noreply.github.com","primary":true,"verified":true}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var all []address
		if json.Unmarshal(body, &all) != nil {
			return
		}
		got, err := primaryOf(all)
		if err != nil {
			return
		}
		n := 0
		for _, a := range all {
			if a.Primary {
				n++
				if a.Email != got || !a.Verified {
					t.Errorf("%q of %s", got, body)
				}
			}
		}
		if n != 1 || got == "" || !idp.Plain(got) || isNoReply(got) {
			t.Errorf("%q of %s", got, body)
		}
	})
}
