package issue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/orgate/orgate/internal/certificate"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// lockLife is how long a lock outlives a process that has died.
	lockLife = time.Minute
	// lockRenewed is how often whoever holds one says so.
	lockRenewed = lockLife / 4
	// lockAsked is how often whoever waits for one asks.
	lockAsked = 500 * time.Millisecond
	// unlockWithin is how long giving one back may take, whatever became of the work.
	unlockWithin = 5 * time.Second
)

// locks are the ones that this process holds, with what ends their renewal.
type locks struct {
	mu   sync.Mutex
	held map[string]func()
}

// Lock waits until this replica, and in it this caller, is the one that has the lock.
func (s *storage) Lock(ctx context.Context, name string) error {
	for {
		switch ok, err := s.TryLock(ctx, name); {
		case err != nil:
			return err
		case ok:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockAsked):
		}
	}
}

// TryLock takes the lock if nobody has it.
func (s *storage) TryLock(ctx context.Context, name string) (bool, error) {
	if name == "" {
		return false, errors.New("a lock without a name")
	}
	holder := newHolder()
	ok, err := s.hold(ctx, name, holder, false)
	if err != nil || !ok {
		return false, err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() { s.renew(renewing, name, holder) })
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	if s.locks.held == nil {
		s.locks.held = map[string]func(){}
	}
	s.locks.held[name] = func() {
		stop()
		done.Wait()
		s.release(ctx, name, holder)
	}
	return true, nil
}

// Unlock gives it back.
func (s *storage) Unlock(_ context.Context, name string) error {
	s.locks.mu.Lock()
	giveBack := s.locks.held[name]
	delete(s.locks.held, name)
	s.locks.mu.Unlock()
	if giveBack == nil {
		return fmt.Errorf("the lock %q is not held", name)
	}
	giveBack()
	return nil
}

// hold takes a lock, or renews one that holder still has, and reports whether it has it.
func (s *storage) hold(ctx context.Context, name, holder string, has bool) (ok bool, err error) {
	err = s.store.Update(ctx, func(tx store.Tx) error {
		ok = false
		l, err := tx.CertificateLock(name)
		free := errors.Is(err, tenancy.ErrNotFound)
		if err != nil && !free {
			return err
		}
		now := s.now().UTC()
		if has && (free || l.Holder != holder) || !has && !free && now.Before(l.Until) {
			return nil
		}
		ok = true
		return tx.PutCertificateLock(certificate.Lock{Name: name, Holder: holder, Until: now.Add(lockLife)})
	})
	return ok && err == nil, err
}

// renew says that holder is still at work, until ctx is done or another has taken over.
func (s *storage) renew(ctx context.Context, name, holder string) {
	tick := time.NewTicker(lockRenewed)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ok, err := s.hold(ctx, name, holder, true)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "a lock could not be renewed", "lock", name, "cause", err)
		} else if !ok {
			return
		}
	}
}

// release frees it, if holder has it. Its life ends it otherwise.
func (s *storage) release(ctx context.Context, name, holder string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockWithin)
	defer cancel()
	err := s.store.Update(ctx, func(tx store.Tx) error {
		l, err := tx.CertificateLock(name)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && l.Holder != holder {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.DeleteCertificateLock(name)
	})
	if err != nil {
		s.log.WarnContext(ctx, "a lock could not be given back; it ends by itself", "lock", name, "cause", err)
	}
}
