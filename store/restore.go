package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/tenancy"
)

// Restore fills an empty store, of either engine, from a backup. It reads r twice: first
// to find every fault, so that a damaged or truncated backup leaves nothing behind. Should
// it be cut off later, the store refuses every transaction from then on.
//
// What a backup could bring back to life stays dead: every session of it is ended, its
// hand-over codes, what clients of the sign-in API hold, e-mail codes, challenges, password resets, recovery codes and waiting mail
// are left out, and every code that an authenticator app can have shown until now is used. Whoever signed out, or was put out,
// since the backup was made is not signed in by restoring it, and no code works twice. Invitations that
// were open are revoked: some may have been accepted or taken back since. So are API keys that the YAML does not give, and the keys
// that customers have for the app have expired.
// Passwords, passkeys and authenticator apps are those of the backup.
func (s *Store) Restore(ctx context.Context, r io.ReadSeeker) (Copied, error) {
	n, err := s.restore(ctx, r)
	if err != nil {
		return Copied{}, fmt.Errorf("restore: %w", err)
	}
	return n, nil
}

func (s *Store) restore(ctx context.Context, r io.ReadSeeker) (Copied, error) {
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return Copied{}, fmt.Errorf("a backup is read twice, from a file and not from a pipe: %w", err)
	}
	if err := verifyBackup(ctx, r); err != nil {
		return Copied{}, err
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return Copied{}, err
	}
	in, err := newBackupReader(r)
	if err != nil {
		return Copied{}, err
	}
	s.complete.Store(false) // look again, at every transaction, until it is done
	note := encodeKey(byte(kindNote), "restoring")
	if err := s.engine.Update(ctx, func(kv KV) error {
		if err := empty(kv); err != nil {
			return err
		}
		// What a store without rows knows of its index entries is not true of those that it gets.
		if err := errors.Join(kv.Delete(noteOfIndexes()), kv.Delete(noteOfSettling())); err != nil {
			return err
		}
		return kv.Set(note, []byte("true"), time.Time{})
	}); err != nil {
		return Copied{}, err
	}
	if err := s.fill(ctx, in); err != nil {
		return Copied{}, fmt.Errorf("%w (the store can't be used now: empty it before the next try)", err)
	}
	err = s.engine.Update(ctx, func(kv KV) error {
		return errors.Join(kv.Advance(in.header.Head), kv.Delete(note))
	})
	return in.n, err
}

// verifyBackup reads a backup to its end.
func verifyBackup(ctx context.Context, r io.Reader) error {
	in, err := newBackupReader(r)
	if err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := in.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// empty returns an error if anything was ever written, but for notes: who looks into an empty store leaves one.
func empty(kv KV) error {
	unfinished, err := restoring(kv)
	if err != nil {
		return err
	}
	if unfinished {
		return errors.New("an earlier restore into this store was cut off: empty it first")
	}
	for p, err := range kv.Scan(nil, nil, false) {
		if err != nil {
			return err
		}
		if len(p.Key) > 0 && kind(p.Key[0]) == kindNote {
			continue
		}
		return errors.New("the store is not empty")
	}
	head, err := kv.Last()
	if err == nil && head != 0 {
		err = errors.New("the store is not empty: it has had events")
	}
	return err
}

// fill writes what in holds, in batches.
func (s *Store) fill(ctx context.Context, in *backupReader) error {
	for done := false; !done; {
		var batch []backupLine
		for size := 0; size < restoreBytes && len(batch) < restoreLines; {
			l, err := in.read()
			if errors.Is(err, io.EOF) {
				done = true
				break
			}
			if err != nil {
				return err
			}
			size += len(l.Value)
			batch = append(batch, l)
		}
		if err := s.engine.Update(ctx, func(kv KV) error { return s.fillBatch(kv, batch) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) fillBatch(kv KV, batch []backupLine) error {
	now := s.now()
	pos, err := kv.Last() // behind the backup's, where entries have expired since
	if err != nil {
		return err
	}
	for _, l := range batch {
		if !l.Expires.IsZero() && !l.Expires.After(now) {
			continue
		}
		if l.Position != 0 {
			if l.Position != pos+1 {
				if err := kv.Advance(l.Position - 1); err != nil {
					return err
				}
			}
			if err := kv.Append(l.Value, l.Expires); err != nil {
				return err
			}
			pos = l.Position
			continue
		}
		value, dead, err := revive(l, now)
		if err != nil {
			return err
		}
		if dead {
			continue
		}
		key, err := l.encodedKey()
		if err != nil {
			return err
		}
		if err := kv.Set(key, value, l.Expires); err != nil {
			return err
		}
	}
	return nil
}

// revive returns the value of a row as it is after a restore at now; dead: the row is left
// out.
func revive(l backupLine, now time.Time) (value []byte, dead bool, err error) {
	switch l.kind() {
	case kindHandover, kindAnswer, kindAnswerBySubject, kindEmailCode, kindLiveEmailCode, kindChallenge, kindReset, kindRecoveryCodes, kindMail, kindMailPlace, kindMailDue, kindReplay,
		kindPortalLink, kindAuthorizationCode, kindRefreshToken, kindPending, kindProfileToken:
		return nil, true, nil
	case kindSession:
		value, err = rewrite(l.Value, "session", func(s *session.Session) {
			if s.EndedAt.IsZero() {
				s.EndedAt = now
			}
		})
	case kindInvitation:
		value, err = rewrite(l.Value, "invitation", func(i *tenancy.Invitation) {
			if i.State(now) == tenancy.InvitationPending {
				i.RevokedAt, i.UpdatedAt = now, now
			}
		})
	case kindAPIKey:
		// One that was revoked since the backup would be good again. Those of the YAML are the YAML's to take away.
		value, err = rewrite(l.Value, "API key", func(k *session.APIKey) {
			if k.RevokedAt.IsZero() && !k.Configured {
				k.RevokedAt = now
			}
		})
	case kindAppKey:
		// One that was deleted, or of whom has left since, would be good again.
		value, err = rewrite(l.Value, "key for the app", func(k *tenancy.AppKey) {
			if !k.Expired(now) {
				k.ExpiresAt, k.UpdatedAt = now, now
			}
		})
	case kindTOTP:
		value, err = rewrite(l.Value, "authenticator app", func(t *factor.TOTP) { *t = t.SpentBy(now) })
	case kindAPIFactor:
		value, err = rewrite(l.Value, "authenticator app", func(f *factor.APIFactor) { *f = f.SpentBy(now) })
	default:
		value = l.Value
	}
	return value, false, err
}

func rewrite[T any](row []byte, what string, change func(*T)) ([]byte, error) {
	var v T
	if err := json.Unmarshal(row, &v); err != nil {
		return nil, fmt.Errorf("it is no %s", what) // no detail: it may be a secret's
	}
	change(&v)
	return json.Marshal(v)
}
