package directory

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

// A State is how a directory says that a user stands.
type State string

// The states of a user.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Inactive  State = "inactive"
)

// A User is a person as a directory has them.
type User struct {
	ID           UserID        `json:"id"`
	Directory    ID            `json:"directory_id"`
	Organization tenancy.OrgID `json:"organization_id"`
	// IDPID is the provider's own id, unique in the directory.
	IDPID string `json:"idp_id"`
	State State  `json:"state"`
	// Email is the primary address in lower case, as far as the directory says one; it is no proof of anything.
	Email      string         `json:"email,omitzero"`
	Emails     []Email        `json:"emails,omitzero"`
	Username   string         `json:"username,omitzero"`
	Name       string         `json:"name,omitzero"`
	FirstName  string         `json:"first_name,omitzero"`
	LastName   string         `json:"last_name,omitzero"`
	JobTitle   string         `json:"job_title,omitzero"`
	Raw        map[string]any `json:"raw_attributes,omitzero"` // as the directory sent it
	Attributes map[string]any `json:"custom_attributes,omitzero"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
}

// An Email is one of the addresses of a user.
type Email struct {
	Primary bool   `json:"primary"`
	Type    string `json:"type,omitzero"`
	Value   string `json:"value"`
}

// SaveUser makes the user that the provider knows by u.IDPID in the directory, or changes them to be u, and returns them as they are now. Nothing
// is written if nothing changes.
func SaveUser(tx Tx, d Directory, u User, by audit.Actor, now time.Time) (User, error) {
	if _, err := Open(tx, d.Organization, d.ID); err != nil {
		return User{}, err
	}
	if err := checkIDPID(u.IDPID); err != nil {
		return User{}, err
	}
	if !slices.Contains([]State{Active, Suspended, Inactive}, u.State) {
		return User{}, errors.New("state of a directory user is none")
	}
	u.Directory, u.Organization, u.Email = d.ID, d.Organization, strings.ToLower(u.Email)
	old, err := tx.DirectoryUserAt(d.Organization, d.ID, u.IDPID)
	made := errors.Is(err, tenancy.ErrNotFound)
	switch {
	case made:
		u.ID, u.CreatedAt = UserID(id.New("directory_user", now)), now.UTC()
	case err != nil:
		return User{}, err
	default:
		u.ID, u.CreatedAt, u.UpdatedAt = old.ID, old.CreatedAt, old.UpdatedAt
		if same(u, old) {
			return old, nil
		}
	}
	u.UpdatedAt = now.UTC()
	if err := tx.PutDirectoryUser(u); err != nil {
		return User{}, err
	}
	if made {
		return u, record(tx, audit.DirectoryUserCreated, d, ShowUser(u), by, now)
	}
	return u, recordUpdated(tx, audit.DirectoryUserUpdated, d, ShowUser(old), ShowUser(u), by, now)
}

// same reports whether two rows are written alike.
func same[T any](a, b T) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}
