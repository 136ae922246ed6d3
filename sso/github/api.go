package github

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oauth"
)

// apiVersion is that of the REST API that this was written for.
const apiVersion = "2022-11-28"

// exchange swaps the code for a token. GitHub answers with 200 to what it refuses, too.
func (c *Client) exchange(ctx context.Context, a App, f Flow, code string) (string, error) {
	const what = "access_token"
	form := url.Values{
		"client_id": {a.ClientID}, "client_secret": {string(a.ClientSecret)}, "code": {code},
		"redirect_uri": {f.RedirectURI}, "code_verifier": {f.Verifier},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.site()+"/login/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fail(CodeForbidden, nil, what)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	var t struct {
		Token       string `json:"access_token"`
		Type        string `json:"token_type"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	switch status, err := c.do(req, what, CodeTokenAnswer, &t); {
	case err != nil:
		return "", err
	case t.Error != "":
		return "", fail(refusal(t.Error), nil, oauth.Refused(what, t.Error, t.Description))
	case status == http.StatusUnauthorized, status == http.StatusNotFound:
		return "", fail(CodeInvalidClient, nil, fmt.Sprintf("%s: status %d", what, status))
	case status != http.StatusOK:
		return "", fail(CodeTokenAnswer, nil, fmt.Sprintf("%s: status %d", what, status))
	case !strings.EqualFold(t.Type, "bearer"):
		return "", fail(CodeTokenAnswer, nil, "token_type is not bearer")
	case t.Token == "", len(t.Token) > maxToken, strings.ContainsFunc(t.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fail(CodeTokenAnswer, nil, "no access_token that is one")
	}
	return t.Token, nil
}

// A user is an account.
type user struct {
	ID    int64  `json:"id"`
	Type  string `json:"type"`
	Login string `json:"login"`
	Name  string `json:"name"`
}

func (u user) subject() string { return strconv.FormatInt(u.ID, 10) }

func (u user) name() string {
	return idp.Printable(strings.TrimSpace(cmp.Or(u.Name, u.Login)), maxText)
}

// user asks whose token it is.
func (c *Client) user(ctx context.Context, a App, token string) (u user, err error) {
	const what = "/user"
	status, err := c.get(ctx, a, what, token, &u)
	switch {
	case err != nil:
		return user{}, err
	case status != http.StatusOK:
		return user{}, fail(CodeUser, nil, fmt.Sprintf("%s: status %d", what, status))
	case u.ID <= 0:
		return user{}, fail(CodeUser, nil, "id is missing")
	case u.Type != "User":
		return user{}, fail(CodeUser, nil, "this account is no person's: "+idp.Printable(u.Type, 40))
	}
	return u, nil
}

// email asks for the primary address of the person whose token it is.
func (c *Client) email(ctx context.Context, a App, token string) (string, error) {
	const what = "/user/emails"
	var all []address
	switch status, err := c.get(ctx, a, what+"?per_page=100", token, &all); {
	case err != nil:
		return "", err
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return "", fail(CodeScope, nil, fmt.Sprintf("%s: status %d", what, status))
	case status != http.StatusOK:
		return "", fail(CodeUser, nil, fmt.Sprintf("%s: status %d", what, status))
	}
	return primaryOf(all)
}

// An address is one of an account.
type address struct {
	Email    string `json:"email"`
	Primary  bool   `json:"primary"`
	Verified bool   `json:"verified"`
}

// primaryOf returns the one that is primary, if it is verified and can be written to.
func primaryOf(all []address) (string, error) {
	const what = "/user/emails"
	primary, n := "", 0
	for _, e := range all {
		if !e.Primary {
			continue
		}
		n++
		if e.Verified {
			primary = e.Email
		}
	}
	switch {
	case n > 1:
		return "", fail(CodeUser, nil, what+": more than one address is the primary one")
	case primary == "":
		return "", fail(CodeNoEmail, nil, what+": no primary address that is verified")
	case len(primary) > maxText || !idp.Plain(primary):
		return "", fail(CodeUser, nil, what+": the address is not plain text of at most 255 bytes")
	case isNoReply(primary):
		return "", fail(CodeNoEmail, nil, what+": the primary address takes no mail")
	}
	return primary, nil
}

// isNoReply reports whether an address stands in for one that the person keeps private:
// nobody can be written to there, and GitHub makes and takes back such addresses as it likes.
func isNoReply(email string) bool {
	_, domain, _ := strings.Cut(strings.ToLower(email), "@")
	return strings.HasPrefix(domain, "noreply.") || strings.HasPrefix(domain, "users.noreply.")
}

// get asks the API, on behalf of the person.
func (c *Client) get(ctx context.Context, a App, path, token string, into any) (status int, err error) {
	what, _, _ := strings.Cut(path, "?")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api(a.site())+path, nil)
	if err != nil {
		return 0, fail(CodeForbidden, nil, what)
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", apiVersion)
	req.Header.Set("Authorization", "Bearer "+token)
	return c.do(req, what, CodeUser, into)
}

// do makes a call, and reads the answer into a value if its status is 200. Of any other
// status nothing but the status is looked at.
func (c *Client) do(req *http.Request, what string, code Code, into any) (status int, err error) {
	req.Header.Set("User-Agent", "orgate") // GitHub refuses whoever has none
	resp, err := c.egress.HTTP.Do(req)
	if err != nil {
		return 0, call(what, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500:
		return 0, fail(CodeUnavailable, nil, fmt.Sprintf("%s: status %d", what, resp.StatusCode))
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusForbidden && resp.Header.Get("X-Ratelimit-Remaining") == "0":
		return 0, fail(CodeUnavailable, nil, what+": too many requests, says GitHub")
	case resp.StatusCode != http.StatusOK:
		return resp.StatusCode, nil
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return 0, fail(code, nil, what+": content type "+idp.Printable(resp.Header.Get("Content-Type"), 60))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return 0, call(what, err)
	case len(b) > maxDocument:
		return 0, fail(CodeTooLarge, nil, what)
	case !utf8.Valid(b), json.Unmarshal(b, into) != nil:
		return 0, fail(code, nil, what+": not the JSON that it should be")
	}
	return resp.StatusCode, nil
}
