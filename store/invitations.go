package store

import (
	"fmt"
	"iter"

	"github.com/orgate/orgate/tenancy"
)

// invitations are found by token and by address as long as they are neither accepted nor revoked:
// what is settled opens nothing, whatever else is forgotten. To be listed, they all are found.
func invitations() table[tenancy.Invitation] {
	return table[tenancy.Invitation]{
		kind: kindInvitation, name: "invitation",
		fields: func(i tenancy.Invitation) []string { return []string{string(i.ID)} },
		indexes: func(i tenancy.Invitation) []index {
			ixs := []index{{kindInvitationAtAddress, []string{i.Email, string(i.ID)}, false}}
			if i.Organization != "" {
				ixs = append(ixs, index{kindInvitationInOrganization, []string{string(i.Organization), string(i.ID)}, false})
			}
			if i.Settled() {
				return ixs
			}
			return append(ixs,
				index{kindInvitationByToken, []string{i.Token}, true},
				index{kindInvitationByEmail, []string{i.Email, string(i.ID)}, false})
		},
	}
}

func (t *tx) Invitation(id tenancy.InvitationID) (tenancy.Invitation, error) {
	return get(t, invitations(), string(id))
}

func (t *tx) InvitationByToken(hash string) (tenancy.Invitation, error) {
	return find(t, invitations(), kindInvitationByToken, hash)
}

func (t *tx) InvitationsTo(email string) iter.Seq2[tenancy.Invitation, error] {
	return findAll(t, invitations(), kindInvitationByEmail, email)
}

func (t *tx) InvitationsOf(org tenancy.OrgID) iter.Seq2[tenancy.Invitation, error] {
	return findAll(t, invitations(), kindInvitationInOrganization, string(org))
}

func (t *tx) Invitations() iter.Seq2[tenancy.Invitation, error] { return all(t, invitations()) }

func (t *tx) DeleteInvitation(id tenancy.InvitationID) error {
	return remove(t, invitations(), string(id))
}

func (t *tx) PutInvitation(i tenancy.Invitation) error {
	if i.Token == "" {
		return fmt.Errorf("invitation: %w", errNoToken)
	}
	return put(t, invitations(), i)
}
