package tenancy

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
)

// The record that proves a domain: a TXT record at ChallengeLabel.<domain> which says
// ChallengePrefix=<token>. The name is one of its own so that it can be delegated, and so
// that what else is at the domain does not have to be read.
const (
	ChallengeLabel  = "_orgate-challenge"
	ChallengePrefix = "orgate-domain-verification"
)

// How long a proof by DNS is waited for, and how long it is good.
const (
	// ProofPeriod is how long a domain stays pending.
	ProofPeriod = 30 * 24 * time.Hour
	// RecheckPause is how long the record of a verified domain is not looked at.
	RecheckPause = 24 * time.Hour
	// GraceWarnings is of how many days a warning is given before a domain whose record is
	// gone loses its effect. It is counted in warnings, not by the clock: a process that was
	// stopped for a week has warned nobody.
	GraceWarnings = 7
	// WarningPause is how long after a warning the next one is due.
	WarningPause = 24 * time.Hour
	// CheckLease is how long a check that was taken is nobody else's.
	CheckLease = 2 * time.Minute

	firstPendingPause  = time.Minute
	firstVerifiedPause = 5 * time.Minute
	longestPause       = time.Hour
)

// Checks are when the record of a domain is looked for, and what came of it.
type Checks struct {
	// Next is when it is looked for again; zero: never, as the domain is verified because
	// somebody says so, or has failed. While a check is under way it is when that is given up.
	Next time.Time `json:"next,omitzero"`
	// Since is since when a pending domain has been waiting for the record.
	Since time.Time `json:"since,omitzero"`
	// Tries are the checks in a row that did not find it; pauses grow with them.
	Tries int `json:"tries,omitzero"`
	// LastAt and LastReason are of the last check that came to an end.
	LastAt     time.Time `json:"last_at,omitzero"`
	LastReason string    `json:"last_reason,omitzero"`
	// MissingSince is when the record of a verified domain was missed first, WarnedAt
	// when it was warned of last, and Warnings how often.
	MissingSince time.Time `json:"missing_since,omitzero"`
	WarnedAt     time.Time `json:"warned_at,omitzero"`
	Warnings     int       `json:"warnings,omitzero"`
}

// LapsesAt is when a verified domain whose record is missed loses its effect if it stays so
// and is looked for all the while; zero: it is not missed.
func (c Checks) LapsesAt() time.Time {
	if c.Warnings == 0 {
		return time.Time{}
	}
	return c.WarnedAt.Add(time.Duration(GraceWarnings-c.Warnings+1) * WarningPause)
}

// Challenge returns the name and the value of the TXT record that proves the domain; ok is
// false if it is not to be proved by DNS.
func (d Domain) Challenge() (name, value string, ok bool) {
	return ChallengeLabel + "." + d.Name, ChallengePrefix + "=" + d.Token, d.Token != ""
}

// await makes d a domain whose record is looked for from now on. Its token stays: who has
// set the record need not set another.
func (d *Domain) await(now time.Time) {
	if d.Token == "" {
		d.Token = rand.Text()[:25] // 125 bits
	}
	d.State, d.Strategy = DomainPending, StrategyDNS
	d.Checks = Checks{Since: now.UTC(), Next: now.UTC()}
}

// Sighting is what a look into the DNS came to. The zero Sighting is Unclear, so that
// whatever is forgotten changes nothing.
type Sighting uint8

const (
	// Unclear is that the servers did not answer, failed, or contradicted one another.
	Unclear Sighting = iota
	// Present is that the record is there, as the domain's own servers say.
	Present
	// Absent is that it is not, as they say.
	Absent
)

// A Check is a domain whose record somebody has taken to look for.
type Check struct {
	// Domain as it was when it was taken.
	Domain Domain
}

// A Change is what a check has changed.
type Change string

// The changes. NoChange is the empty string.
const (
	NoChange        Change = ""
	ChangeVerified  Change = "verified"  // proved
	ChangeTaken     Change = "taken"     // proved, and another organization's: failed
	ChangeExpired   Change = "expired"   // not proved in time: failed
	ChangeLapsing   Change = "lapsing"   // the record is gone; a warning
	ChangeRecovered Change = "recovered" // it is back
	ChangeLapsed    Change = "lapsed"    // it was gone for too long: failed
)

// DueChecks takes up to limit domains whose record is to be looked for by now. Whoever takes
// them has [CheckLease] to look; until then they are due for nobody else.
func DueChecks(tx Tx, limit int, now time.Time) ([]Check, error) {
	var due []Domain
	for d, err := range tx.DueDomains(now) {
		if err != nil {
			return nil, err
		}
		if len(due) == limit {
			break
		}
		due = append(due, d)
	}
	var taken []Check
	for _, d := range due {
		waits, err := waitsForOrganization(tx, d)
		if err != nil {
			return nil, err
		}
		if waits {
			d.Checks.Next = now.UTC().Add(longestPause)
			if err := tx.PutDomain(d); err != nil {
				return nil, err
			}
			continue
		}
		c, err := take(tx, d, now)
		if err != nil {
			return nil, err
		}
		taken = append(taken, c)
	}
	return taken, nil
}

// waitsForOrganization reports whether d is a hope of a suspended organization. What it has
// stays its own meanwhile, and is looked after; it gets nothing new.
func waitsForOrganization(tx Tx, d Domain) (bool, error) {
	if d.State != DomainPending {
		return false, nil
	}
	o, err := tx.Organization(d.Organization)
	return o.Suspended, err
}

// take marks d as being looked for. It has no event: nothing has happened to the domain.
func take(tx Tx, d Domain, now time.Time) (Check, error) {
	d.Checks.Next = now.UTC().Add(CheckLease)
	return Check{d}, tx.PutDomain(d)
}

// StartCheck takes a domain whose record is to be looked for now, whenever it is due, and
// whoever is at it. One that failed is pending again. It returns an error wrapping [ErrState] for a domain
// that is verified because somebody says so, and for one that is to be won by a suspended organization.
func StartCheck(tx Tx, org OrgID, name string, by audit.Actor, now time.Time) (Check, error) {
	d, err := tx.Domain(org, name)
	if err != nil {
		return Check{}, err
	}
	switch {
	case PublicMailDomain(name):
		return Check{}, fmt.Errorf("%s: %w", name, ErrPublicDomain)
	case d.State == DomainVerified && d.Strategy != StrategyDNS:
		return Check{}, fmt.Errorf("%s is not verified by DNS: %w", name, ErrState)
	case d.State == DomainFailed, d.Token == "":
		d.await(now)
		d.UpdatedAt = now.UTC()
		if err := recordDomain(tx, audit.DomainUpdated, d, by, now); err != nil {
			return Check{}, err
		}
	}
	if waits, err := waitsForOrganization(tx, d); err != nil {
		return Check{}, err
	} else if waits {
		return Check{}, fmt.Errorf("organization is suspended: %w", ErrState)
	}
	return take(tx, d, now)
}

// RestartProof has the record of a domain looked for soon, whenever it was due. One that failed is pending
// again. It returns an error wrapping [ErrState] for a domain that is verified.
func RestartProof(tx Tx, org OrgID, name string, by audit.Actor, now time.Time) (Domain, error) {
	d, err := tx.Domain(org, name)
	switch {
	case err != nil:
		return Domain{}, err
	case d.State == DomainVerified:
		return Domain{}, fmt.Errorf("%s is verified: %w", name, ErrState)
	case PublicMailDomain(name):
		return Domain{}, fmt.Errorf("%s: %w", name, ErrPublicDomain)
	case d.State == DomainFailed, d.Token == "":
		d.await(now)
		return d, putDomain(tx, &d, audit.DomainUpdated, by, now)
	}
	d.Checks.Next = now.UTC()
	return d, tx.PutDomain(d)
}

// Conclude says what came of a check: what was seen, and why in a word. It returns the domain as it is
// afterwards. If somebody has taken the check anew since, or the domain is another by now, it
// returns an error wrapping [ErrState] and changes nothing.
func Conclude(tx Tx, c Check, seen Sighting, reason string, by audit.Actor, now time.Time) (Domain, Change, error) {
	d, err := tx.Domain(c.Domain.Organization, c.Domain.Name)
	if err != nil {
		return Domain{}, NoChange, err
	}
	if d.ID != c.Domain.ID || d.Token != c.Domain.Token || d.State != c.Domain.State || !d.Checks.Next.Equal(c.Domain.Checks.Next) {
		return d, NoChange, fmt.Errorf("check of %s was taken anew: %w", d.Name, ErrState)
	}
	d.Checks.LastAt, d.Checks.LastReason = now.UTC(), reason
	if seen != Present {
		d.Checks.Tries++
	}
	conclusion := conclusion{tx, d, by, now.UTC()}
	if d.State == DomainVerified {
		return conclusion.ofVerified(seen)
	}
	return conclusion.ofPending(seen)
}

// A conclusion is one run of [Conclude].
type conclusion struct {
	tx  Tx
	d   Domain
	by  audit.Actor
	now time.Time
}

func (c conclusion) ofPending(seen Sighting) (Domain, Change, error) {
	waits, err := waitsForOrganization(c.tx, c.d)
	if err != nil {
		return c.d, NoChange, err
	}
	switch expires := c.d.Checks.Since.Add(ProofPeriod); {
	case seen == Present && !waits && !PublicMailDomain(c.d.Name):
		switch owner, err := c.tx.VerifiedDomain(c.d.Name); {
		case err == nil && owner.Organization != c.d.Organization:
			return c.fail(ChangeTaken, ReasonTaken)
		case err != nil && !errors.Is(err, ErrNotFound):
			return c.d, NoChange, err
		}
		c.d.State, c.d.VerifiedAt = DomainVerified, c.now
		c.d.Checks = Checks{Next: c.now.Add(RecheckPause), LastAt: c.now, LastReason: c.d.Checks.LastReason}
		return c.put(ChangeVerified, audit.DomainVerified)
	case !c.now.Before(expires):
		return c.fail(ChangeExpired, ReasonExpired)
	default:
		c.d.Checks.Next = earlier(c.now.Add(pause(firstPendingPause, c.d.Checks.Tries)), expires)
		return c.put(NoChange, "")
	}
}

func (c conclusion) ofVerified(seen Sighting) (Domain, Change, error) {
	s := &c.d.Checks
	s.Next = c.now.Add(pause(firstVerifiedPause, s.Tries))
	switch seen {
	case Present:
		missed := s.Warnings > 0
		*s = Checks{Next: c.now.Add(RecheckPause), LastAt: s.LastAt, LastReason: s.LastReason}
		if missed {
			return c.put(ChangeRecovered, audit.DomainUpdated)
		}
	case Absent:
		if !s.WarnedAt.IsZero() && c.now.Before(s.WarnedAt.Add(WarningPause)) {
			s.Next = earlier(s.Next, s.WarnedAt.Add(WarningPause))
			break
		}
		if s.Warnings >= GraceWarnings {
			return c.fail(ChangeLapsed, ReasonExpired)
		}
		if s.MissingSince.IsZero() {
			s.MissingSince = c.now
		}
		s.WarnedAt = c.now
		s.Warnings++
		if err := c.tx.PutDomain(c.d); err != nil {
			return c.d, NoChange, err
		}
		return c.d, ChangeLapsing, recordLapsing(c.tx, c.d, c.by, c.now)
	case Unclear: // no loss, however long it lasts
	}
	return c.put(NoChange, "")
}

func (c conclusion) fail(change Change, reason string) (Domain, Change, error) {
	d, err := failDomain(c.tx, c.d, reason, c.by, c.now)
	return d, change, err
}

// put writes the domain, and the event if it has a name.
func (c conclusion) put(change Change, event string) (Domain, Change, error) {
	if event == "" {
		return c.d, change, c.tx.PutDomain(c.d)
	}
	return c.d, change, putDomain(c.tx, &c.d, event, c.by, c.now)
}

// pause is how long to wait after so many tries: twice as long each time.
func pause(first time.Duration, tries int) time.Duration {
	return min(first<<min(max(tries-1, 0), 16), longestPause)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
