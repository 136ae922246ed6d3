package config

import (
	"strings"
	"testing"
)

func TestMailThatIsNotSafeIsWarnedOf(t *testing.T) {
	for smtp, want := range map[string]string{
		`host: smtp.example.com, tls: none`:                           "unencrypted",
		`host: 10.1.2.3, tls: none, username: a, password: b`:         "unencrypted",
		`host: smtp.example.com, tls: starttls, port: 465`:            "first byte",
		`host: smtp.example.com, password: b`:                         "no username",
		`host: smtp.example.com`:                                      "",
		`host: smtp.example.com, port: 465`:                           "",
		`host: smtp.example.com, tls: implicit, port: 2465`:           "",
		`host: localhost, tls: none`:                                  "",
		`host: "127.0.0.1", port: 25`:                                 "",
		`host: "::1", tls: none, username: a, password: b, helo: x.y`: "",
	} {
		c, err := readText(least+"mail: { smtp: { "+smtp+" }, from: a@b.c }\n", noEnv)
		if err != nil {
			t.Errorf("%s: %v", smtp, err)
			continue
		}
		var got []string
		for _, w := range c.Warnings {
			got = append(got, w.Error())
		}
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
			t.Errorf("%s: warned %q, want %q", smtp, got, want)
		}
	}
}

func TestAServerIsGreetedWithTheLoginHostUnlessAnotherNameIsGiven(t *testing.T) {
	for helo, want := range map[string]string{"": "login.example.com", ", helo: gate.example.com": "gate.example.com"} {
		c, err := readText(least+"mail: { smtp: { host: smtp.example.com"+helo+" }, from: a@b.c }\n", noEnv)
		if err != nil || c.Mail.SMTP.HELO != want {
			t.Errorf("%q: %v, %v", helo, c, err)
		}
	}
}

func TestTheSenderIsAnAddressThatEveryServerTakes(t *testing.T) {
	for from, good := range map[string]bool{
		`login@example.com`: true, `Example <login@example.com>`: true, `Beispiel für alle <login@example.com>`: true, `noreply@intranet`: true,
		`=?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@b.c>`: true,
		`jö@example.com`:                      false, `a@bücher.example`: false, `"a b"@example.com`: false, `a@b.c, d@e.f`: false, `Example`: false,
		`=?utf-8?q?a=0D=0ABcc:_x@y.z?= <a@b.c>`: false, `=?utf-8?q?a=E2=80=AEb?= <a@b.c>`: false, "a\u202eb <a@b.c>": false,
	} {
		if _, err := parseMailbox(from); (err == nil) != good {
			t.Errorf("%q: %v", from, err)
		}
	}
}

func TestWhatGoesByMailNeedsMail(t *testing.T) {
	for _, method := range []string{"email_code", "password"} {
		if _, err := readText(least+"sign_in: { methods: ["+method+"] }\n", noEnv); err == nil || !strings.Contains(err.Error(), "needs mail") {
			t.Errorf("%s without mail: %v", method, err)
		}
	}
	c, err := readText(least+"sign_in: { methods: [passkey] }\n", noEnv)
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "without mail") {
		t.Errorf("passkeys without mail: %v, %v", c.Warnings, err)
	}
}
