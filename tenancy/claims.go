package tenancy

import "slices"

// applyClaims gives the membership what the provider says beside who it is: attributes,
// and roles where the organization maps groups to roles (SEMANTICS 1.4.4).
//
//	source of the roles   a group matches   none does, or no groups were sent
//	directory             unchanged         unchanged
//	sso                   as mapped         back to the default
//	manual, default       as mapped         unchanged
//
// A provider that stops to send groups is treated as one that sends none: whoever loses
// the claim must not keep the role that it gave (attack 80).
func (s *arrival) applyClaims(m *Membership) {
	if m.RoleSource == RoleDirectory {
		return
	}
	if s.a.Attributes != nil {
		m.Attributes = s.a.Attributes
	}
	switch mapped := s.mappedRoles(); {
	case len(mapped) > 0:
		m.Roles, m.RoleSource = mapped, RoleSSO
	case m.RoleSource == RoleSSO:
		m.Roles, m.RoleSource = defaultRoles(s.rules, s.org), RoleDefault
	}
}

// mappedRoles are the roles of the person's groups by the organization's own map, each
// once. Only what is in the map is ever given, whatever a group is called.
func (s *arrival) mappedRoles() []string {
	if !s.a.HasGroups {
		return nil
	}
	in := make(map[string]bool, len(s.a.Groups))
	for _, g := range s.a.Groups {
		in[g] = true
	}
	var roles []string
	for _, gr := range s.org.GroupRoles {
		if in[gr.Group] && !slices.Contains(roles, gr.Role) {
			roles = append(roles, gr.Role)
		}
	}
	return roles
}
