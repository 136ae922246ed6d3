package proxy

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"net/url"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An organization is what requests need to know of one. It is immutable.
type organization struct {
	id        tenancy.OrgID
	slug      tenancy.Slug
	name      string
	hosts     []string            // custom ones
	upstreams map[string]*url.URL // its own instances, by app name; nil: unusable
	suspended bool
	quota     *tenancy.Quota // its own; nil: what each may take
	meter     *meter
	// unread: it changed, and the store could not be asked how. Nobody gets in
	// until it could.
	unread bool
}

// upstream returns where requests of the organization for the app go. A broken URL of an
// instance of its own is not replaced by the shared instance: nothing of it is there.
func (o *organization) upstream(a *app) (u *url.URL, ok bool) {
	if u, ok = o.upstreams[a.Name]; ok {
		return u, u != nil
	}
	return a.upstream, true
}

func (p *Proxy) organization(o tenancy.Organization) *organization {
	c := &organization{id: o.ID, slug: o.Slug, name: o.Name, hosts: o.Hosts, suspended: o.Suspended, quota: o.Quota, meter: p.meter(o.ID)}
	for app, s := range o.Upstreams {
		u, err := url.Parse(s)
		if err == nil {
			err = checkUpstream(u)
		}
		if err != nil {
			p.log.Error("organization has an upstream that can't be used", "organization", o.Slug, "app", app, "error", err)
			u = nil
		}
		if c.upstreams == nil {
			c.upstreams = map[string]*url.URL{}
		}
		c.upstreams[app] = u
	}
	return c
}

// An index is an immutable map of which a changed copy is cheap: only the part that a key
// is in is copied. (With one map, loading 10,000 organizations one by one would copy
// fifty million entries.)
type index struct {
	seed  maphash.Seed
	parts [256]map[string]*organization
}

func (x *index) get(key string) *organization {
	return x.parts[uint8(maphash.String(x.seed, key))][key]
}

// with returns a copy in which key has the value; nil: is not there.
func (x *index) with(key string, o *organization) *index {
	c := *x
	i := uint8(maphash.String(x.seed, key))
	part := maps.Clone(c.parts[i])
	if part == nil {
		part = map[string]*organization{}
	}
	if o == nil {
		delete(part, key)
	} else {
		part[key] = o
	}
	c.parts[i] = part
	return &c
}

// add is with in place, for an index that nobody has seen yet.
func (x *index) add(key string, o *organization) {
	i := uint8(maphash.String(x.seed, key))
	if x.parts[i] == nil {
		x.parts[i] = map[string]*organization{}
	}
	x.parts[i][key] = o
}

// A directory is the organizations by what they are found by. It is immutable; a change
// makes another one that shares all but what changed.
type directory struct{ byID, bySlug, byHost *index }

// loadDirectory reads all organizations.
func (p *Proxy) loadDirectory(ctx context.Context) (*directory, error) {
	var d *directory
	err := p.store.View(ctx, func(tx store.Tx) error {
		seed := maphash.MakeSeed()
		d = &directory{&index{seed: seed}, &index{seed: seed}, &index{seed: seed}}
		for o, err := range tx.Organizations() {
			if err != nil {
				return err
			}
			c := p.organization(o)
			d.byID.add(string(c.id), c)
			d.bySlug.add(string(c.slug), c)
			for _, h := range c.hosts {
				d.byHost.add(h, c)
			}
		}
		return nil
	})
	return d, err
}

// with returns the directory with o in the place of the organization of that id; o nil:
// it is gone.
func (d *directory) with(id tenancy.OrgID, o *organization) *directory {
	c := *d
	if old := d.byID.get(string(id)); old != nil {
		if c.bySlug.get(string(old.slug)) == old {
			c.bySlug = c.bySlug.with(string(old.slug), nil)
		}
		for _, h := range old.hosts {
			if c.byHost.get(h) == old {
				c.byHost = c.byHost.with(h, nil)
			}
		}
	}
	c.byID = c.byID.with(string(id), o)
	if o != nil {
		c.bySlug = c.bySlug.with(string(o.slug), o)
		for _, h := range o.hosts {
			c.byHost = c.byHost.with(h, o)
		}
	}
	return &c
}

// refresh reads organizations anew. If the store can't be asked, they are closed until it
// can.
func (p *Proxy) refresh(ctx context.Context, ids ...tenancy.OrgID) {
	// Reading inside the lock makes the last writer the one that read last.
	p.writing.Lock()
	defer p.writing.Unlock()
	p.reread(ctx, ids...)
}

// reopen reads an organization that is closed, unless that was done meanwhile: the request
// that asks may be over by now, and its failure must close nothing.
func (p *Proxy) reopen(ctx context.Context, id tenancy.OrgID) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if o := p.state.Load().byID.get(string(id)); o != nil && o.unread {
		p.reread(ctx, id)
	}
}

// reread is refresh. writing is held.
func (p *Proxy) reread(ctx context.Context, ids ...tenancy.OrgID) {
	found := map[tenancy.OrgID]*organization{}
	err := p.store.View(ctx, func(tx store.Tx) error {
		clear(found)
		for _, id := range ids {
			o, err := tx.Organization(id)
			switch {
			case errors.Is(err, tenancy.ErrNotFound):
				continue
			case err != nil:
				return err
			}
			found[id] = p.organization(o)
		}
		return nil
	})
	st := p.state.Load()
	d := st.directory
	for _, id := range ids {
		o := found[id]
		if err != nil {
			if old := d.byID.get(string(id)); old != nil {
				closed := *old
				closed.unread = true
				o = &closed
			}
		} else if o == nil {
			p.meters.Delete(id)
		}
		d = d.with(id, o)
	}
	p.state.Store(&state{st.gate, d})
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelError, "organizations that changed could not be read: they are closed until they can", slog.Int("count", len(ids)), slog.Any("error", err))
	}
}

// A place is what a host is.
type place struct {
	host tenancy.Host
	// authority is host with the public port, as the configuration has it, whatever the request says:
	// as sessions, redirects and assertions have it. It may be a part of the whole head of the request: who keeps it clones it.
	authority string
	login     bool
	// app and org of a tenant host.
	app *app
	org *organization
}

// place returns what the host is; ok is false for one that is nothing here, and for one
// of a suspended organization, which no answer tells apart.
func (st *state) place(h tenancy.Host) (pl place, ok bool) { return st.placeOf(h, "") }

// placeOf is place for a host of which it is known how a request has said it.
func (st *state) placeOf(h tenancy.Host, said string) (pl place, ok bool) {
	pl = place{host: h}
	if h == st.login {
		pl.login, pl.authority = true, st.authority(h)
		return pl, true
	}
	if a, label := st.app(h); a != nil {
		if o := st.bySlug.get(label); o != nil {
			pl.app, pl.org = a, o
		}
	}
	if pl.org == nil {
		if o := st.byHost.get(string(h)); o != nil {
			pl.app, pl.org = st.apps[0], o
		}
	}
	if pl.org == nil || pl.org.suspended {
		return place{}, false
	}
	pl.authority = st.authorityOf(h, said)
	return pl, true
}

// Organization returns the organization and the app that a host belongs to, for the
// sign-in side. host is as [session.SignInRequest] has it. ok is false for an unknown host,
// another port than the public one, and a suspended organization.
func (p *Proxy) Organization(host string) (org tenancy.OrgID, app string, ok bool) {
	st := p.state.Load()
	h, port, err := tenancy.ParseHost(host)
	if err != nil || !st.rightPort(port) {
		return "", "", false
	}
	pl, ok := st.place(h)
	if !ok || pl.login {
		return "", "", false
	}
	return pl.org.id, pl.app.Name, true
}

// Serves reports whether a host is one that requests come to: the login host, or that of an organization
// which is not suspended. host has no port. While it is not known how an organization is now, its hosts are none.
func (p *Proxy) Serves(host string) bool {
	h, port, err := tenancy.ParseHost(host)
	if err != nil || port != "" {
		return false
	}
	pl, ok := p.state.Load().place(h)
	return ok && (pl.login || !pl.org.unread)
}

// Home returns the address of the first page of the organization's own host, or "" if
// there is no such organization or it is suspended.
func (p *Proxy) Home(org tenancy.OrgID) string {
	st := p.state.Load()
	o := st.byID.get(string(org))
	if o == nil || o.suspended {
		return ""
	}
	return st.url(st.home(o), "/", nil)
}

// home is the authority of the organization's host: that of its slug at the first app.
func (st *state) home(o *organization) string {
	a := st.apps[0]
	return st.authority(tenancy.Host(a.prefix + string(o.slug) + a.suffix))
}
