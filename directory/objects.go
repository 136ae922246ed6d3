package directory

import (
	"encoding/json"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

// The objects of the API: what it answers with, and what events say.
type (
	// An Object is a directory. ExternalKey says nothing here: a directory has no other key.
	Object struct {
		Object       string        `json:"object"`
		ID           ID            `json:"id"`
		Organization tenancy.OrgID `json:"organization_id"`
		ExternalKey  ID            `json:"external_key"`
		Type         string        `json:"type"`
		State        string        `json:"state"`
		Name         string        `json:"name"`
		CreatedAt    time.Time     `json:"created_at"`
		UpdatedAt    time.Time     `json:"updated_at"`
	}

	// A UserObject is a user of a directory.
	UserObject struct {
		Object       string         `json:"object"`
		ID           UserID         `json:"id"`
		Directory    ID             `json:"directory_id"`
		Organization tenancy.OrgID  `json:"organization_id"`
		IDPID        string         `json:"idp_id"`
		Email        *string        `json:"email"`
		FirstName    *string        `json:"first_name"`
		LastName     *string        `json:"last_name"`
		Name         *string        `json:"name"`
		Emails       []Email        `json:"emails"`
		JobTitle     *string        `json:"job_title"`
		Username     *string        `json:"username"`
		State        State          `json:"state"`
		Raw          map[string]any `json:"raw_attributes"`
		Attributes   map[string]any `json:"custom_attributes"`
		CreatedAt    time.Time      `json:"created_at"`
		UpdatedAt    time.Time      `json:"updated_at"`
	}

	// A GroupObject is a group of a directory.
	GroupObject struct {
		Object       string         `json:"object"`
		ID           GroupID        `json:"id"`
		IDPID        string         `json:"idp_id"`
		Directory    ID             `json:"directory_id"`
		Organization tenancy.OrgID  `json:"organization_id"`
		Name         string         `json:"name"`
		Raw          map[string]any `json:"raw_attributes"`
		CreatedAt    time.Time      `json:"created_at"`
		UpdatedAt    time.Time      `json:"updated_at"`
	}
)

// Show returns the directory as the API shows it.
func Show(d Directory) Object {
	o := Object{"directory", d.ID, d.Organization, d.ID, d.Type, "linked", d.Name, d.CreatedAt, d.UpdatedAt}
	if d.Deleting {
		o.State = "deleting"
	}
	return o
}

// ShowUser returns the user as the API shows it.
func ShowUser(u User) UserObject {
	o := UserObject{
		Object: "directory_user", ID: u.ID, Directory: u.Directory, Organization: u.Organization, IDPID: u.IDPID, Email: textOrNull(u.Email), FirstName: textOrNull(u.FirstName),
		LastName: textOrNull(u.LastName), Name: textOrNull(u.Name), Emails: u.Emails, JobTitle: textOrNull(u.JobTitle), Username: textOrNull(u.Username), State: u.State,
		Raw: object(u.Raw), Attributes: object(u.Attributes), CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	if o.Emails == nil {
		o.Emails = []Email{}
	}
	return o
}

// ShowGroup returns the group as the API shows it.
func ShowGroup(g Group) GroupObject {
	return GroupObject{"directory_group", g.ID, g.IDPID, g.Directory, g.Organization, g.Name, object(g.Raw), g.CreatedAt, g.UpdatedAt}
}

func object(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func record(tx Tx, name string, d Directory, data any, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization = string(d.Organization)
	return audit.Record(tx, e, data)
}

// recordUpdated says of a user or group what they are, and in previous_attributes what of it was otherwise before.
func recordUpdated(tx Tx, name string, d Directory, was, is any, by audit.Actor, now time.Time) error {
	before, err := fields(was)
	if err != nil {
		return err
	}
	after, err := fields(is)
	if err != nil {
		return err
	}
	previous := map[string]json.RawMessage{}
	for k, v := range before {
		if k != "updated_at" && string(v) != string(after[k]) {
			previous[k] = v
		}
	}
	if after["previous_attributes"], err = json.Marshal(previous); err != nil {
		return err
	}
	return record(tx, name, d, after, by, now)
}

func fields(v any) (m map[string]json.RawMessage, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(b, &m)
}

// recordActivated says that there is a directory; its domains are its organization's. In events a directory's states have other names.
func recordActivated(tx Tx, d Directory, by audit.Actor, now time.Time) error {
	type domain struct {
		Object string           `json:"object"`
		ID     tenancy.DomainID `json:"id"`
		Domain string           `json:"domain"`
	}
	data := struct {
		Object
		Domains []domain `json:"domains"`
	}{Show(d), []domain{}}
	data.State = "active"
	for o, err := range tx.Domains(d.Organization) {
		if err != nil {
			return err
		}
		data.Domains = append(data.Domains, domain{"organization_domain", o.ID, o.Name})
	}
	return record(tx, audit.DirectoryActivated, d, data, by, now)
}

func recordDeleted(tx Tx, d Directory, by audit.Actor, now time.Time) error {
	return record(tx, audit.DirectoryDeleted, d, Show(d), by, now)
}
