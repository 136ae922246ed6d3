package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/internal/egress"
)

// A result is what came of one try.
type result struct {
	hook.Delivery
	ok      bool
	drop    bool // there was nothing to send
	cut     bool // by us
	attempt hook.Attempt
}

// try sends once.
func (s *sending) try(ctx context.Context, to string, secrets []string, it item) (r result) {
	r = result{Delivery: it.Delivery}
	began := time.Now()
	r.attempt.At = s.Now().UTC()
	defer func() {
		if v := recover(); v != nil { // this goroutine would end the process
			r.ok, r.attempt.Error = false, "internal"
			s.Logger.ErrorContext(ctx, "a panic while a webhook was sent", "type", fmt.Sprintf("%T", v))
		}
		r.attempt.Took = time.Since(began)
	}()
	if len(secrets) == 0 {
		r.attempt.Error = "secret" // sealed under a key that is gone
		return r
	}
	limit, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limit, http.MethodPost, to, bytes.NewReader(it.body))
	if err != nil {
		r.attempt.Error = "url"
		return r
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.UserAgent)
	sign(req.Header, secrets, it.Event, it.body, s.Now())
	resp, err := s.Client.Do(req)
	if err == nil {
		r.attempt.Status = resp.StatusCode
		// To its end, so that the connection can be used again: how long that is is the client's to bound.
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, MaxAnswer+1))
		_ = resp.Body.Close()
	}
	switch {
	case r.attempt.Status != 0 && (r.attempt.Status < 200 || r.attempt.Status > 299):
		r.attempt.Error = "status"
	case err != nil && ctx.Err() != nil:
		r.cut = true
	case err != nil:
		r.attempt.Error = word(err)
	default:
		r.ok = true
	}
	return r
}

// word says why a call failed, in one of a few.
func word(err error) string {
	for _, w := range []struct {
		err  error
		word string
	}{
		{egress.ErrRedirect, "redirect"}, {egress.ErrTimeout, "timeout"}, {context.DeadlineExceeded, "timeout"}, {egress.ErrTooLarge, "too_large"},
		{egress.ErrAddress, "address"}, {egress.ErrPort, "port"}, {egress.ErrCertificate, "tls"}, {egress.ErrName, "name"},
		{egress.ErrScheme, "url"}, {egress.ErrURL, "url"}, {egress.ErrUserinfo, "url"},
	} {
		if errors.Is(err, w.err) {
			return w.word
		}
	}
	if e, ok := errors.AsType[*url.Error](err); ok && e.Timeout() {
		return "timeout"
	}
	return "unreachable"
}
