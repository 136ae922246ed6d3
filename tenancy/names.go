package tenancy

// A Slug is an organization's host label: a lower-case LDH label of 1 to 63 bytes,
// parsed by [ParseSlug].
type Slug string

// ParseSlug reads a slug. Its errors are facts with values: bad slug "-acme": '-' at byte 0.
func ParseSlug(s string) (Slug, error) { panic("") }

// ParseEmail reads an e-mail address by a small grammar (one @, dot-atom, LDH domain with
// at least one dot, at most 254 bytes) and returns it in lower case (ASCII folding only). It is the only one in the program.
func ParseEmail(s string) (string, error) { panic("") }

// EmailDomain returns the domain of an address that ParseEmail returned.
func EmailDomain(email string) string { panic("") }

// ParseDomain reads a domain name: lower-case A-labels, at least one dot, no trailing dot; an IDN is converted.
func ParseDomain(s string) (string, error) { panic("") }

// A Host is a canonical host: lower case, A-labels, no port, no trailing dot.
type Host string

// ParseHost is the one parser of the Host header. It returns the canonical host and the
// port ("" if none was given), or an error for whatever is not a plain host name:
// an IP literal, an empty or over-long label, a port that is no number, white space, or anything after it.
func ParseHost(s string) (h Host, port string, err error) { panic("") }
