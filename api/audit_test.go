package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/reader"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/audit/writer"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

const (
	writeEvent   = "POST /audit_logs/events"
	createExport = "POST /audit_logs/exports"
	getExport    = "GET /audit_logs/exports/{auditLogExportId}"
	fetchExport  = "GET /orgate/v1/audit_log_exports/{id}"
	actions      = "GET /audit_logs/actions"
	schemas      = "GET /audit_logs/actions/{actionName}/schemas"
	createSchema = "POST /audit_logs/actions/{actionName}/schemas"
	getRetention = "GET /organizations/{id}/audit_logs_retention"
	setRetention = "PUT /organizations/{id}/audit_logs_retention"
	getLogConfig = "GET /organizations/{id}/audit_log_configuration"
)

func exportOf(org string) map[string]any {
	return map[string]any{"organization_id": org, "range_start": "2026-01-01T00:00:00.000Z", "range_end": "2027-01-01T00:00:00.000Z"}
}

// eventIn is an entry, with changes: nil takes a field out, and a dot goes into an object.
func eventIn(org string, changes map[string]any) map[string]any {
	e := map[string]any{
		"action": "invoice.paid", "occurred_at": "2026-04-30T10:00:00.000Z", "actor": map[string]any{"id": "user_1", "type": "user", "name": "Jo", "metadata": map[string]any{"role": "admin"}},
		"targets": []any{map[string]any{"id": "inv_1", "type": "invoice", "metadata": map[string]any{"cost": 12.50}}}, "context": map[string]any{"location": "192.0.2.1", "user_agent": "x"},
		"metadata": map[string]any{"ok": true, "n": 3, "s": "t"},
	}
	for path, v := range changes {
		at, name := e, path
		for i := strings.Index(name, "."); i > 0; i = strings.Index(name, ".") {
			at, name = at[name[:i]].(map[string]any), name[i+1:]
		}
		if at[name] = v; v == nil {
			delete(at, name)
		}
	}
	return map[string]any{"organization_id": org, "event": e}
}

// written are the entries of an organization's log, once all that was committed is in it.
func (w *world) written(org string) (all []trail.Entry) {
	w.t.Helper()
	wr := &writer.Writer{Store: w.s, Now: w.clock, Days: func() int { return 365 }}
	w.later(time.Minute) // the lease of the one before
	for more := true; more; {
		var err error
		if more, err = wr.Turn(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	for e, err := range reader.Entries(w.t.Context(), w.s, trail.Log(org), trail.Filter{}, false) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (a answer) paths() (paths []string) {
	list, _ := a.fields["errors"].([]any)
	for _, f := range list {
		paths = append(paths, fmt.Sprint(f.(map[string]any)["instancePath"]))
	}
	return paths
}

func TestWhatTheAppWritesIsInTheLogAsItWasWritten(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	if a := w.call(writeEvent, eventIn(org, nil)).want(200); string(a.body) != `{"success":true}` {
		t.Errorf("%s", a.body)
	}
	w.call(writeEvent, eventIn(org, map[string]any{"metadata": nil, "actor.name": nil, "actor.metadata": nil, "context": map[string]any{"location": ""}, "targets": []any{}})).want(200)
	all := w.written(org)
	e := all[len(all)-2]
	if b, err := json.Marshal(e.Metadata); err != nil || e.Action != "invoice.paid" || e.OccurredAt.Format(time.RFC3339) != "2026-04-30T10:00:00Z" || e.RecordedAt.Year() != 2026 || e.Actor.Name != "Jo" ||
		e.Actor.Metadata["role"].String() != "admin" || e.Targets[0].Metadata["cost"].String() != "12.5" || string(b) != `{"n":3,"ok":true,"s":"t"}` || !strings.HasPrefix(e.RecordedBy, "api_key_") || e.Context.UserAgent != "x" {
		t.Errorf("%+v", e)
	}
	if e := all[len(all)-1]; len(e.Targets) != 0 || e.Metadata != nil || e.Context.Location != "" {
		t.Errorf("%+v", e)
	}
	if first := all[0]; first.Action != audit.OrganizationCreated || first.Actor.Name != "all" || first.Actor.Type != "api_key" {
		t.Errorf("%+v", first)
	}
}

func TestAnEventThatIsWrittenTwiceByItsKeyIsInTheLogOnce(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	b, err := json.Marshal(eventIn(org, nil))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if status, said := w.named(w.secret, "n", "/audit_logs/events", string(b)); status != 200 || said != `{"success":true}` {
			t.Errorf("%d %s", status, said)
		}
	}
	if status, said := w.named(w.secret, "n", "/audit_logs/events", strings.Replace(string(b), "inv_1", "inv_2", 1)); status != 409 {
		t.Errorf("%d %s", status, said)
	}
	if n := len(w.written(org)); n != 2 {
		t.Errorf("%d entries", n)
	}
}

func TestAnEventThatIsTooMuchOrNoneIsRefusedAndSaysWhere(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	many := map[string]any{}
	for n := range 51 {
		many[fmt.Sprint("k", n)] = n
	}
	most := map[string]any{strings.Repeat("k", 40): strings.Repeat("ü", 500)}
	for n := range 49 {
		most[fmt.Sprint("k", n)] = n
	}
	w.call(writeEvent, eventIn(org, map[string]any{"metadata": most})).want(200)
	at := w.head()
	for name, c := range map[string]struct {
		changes map[string]any
		paths   []string
	}{
		"keys":     {map[string]any{"metadata": many}, []string{"/metadata"}},
		"key":      {map[string]any{"metadata": map[string]any{strings.Repeat("k", 41): 1}}, []string{"/metadata/" + strings.Repeat("k", 41)}},
		"sign":     {map[string]any{"metadata": map[string]any{"a/b": 1}}, []string{"/metadata/a~1b"}},
		"value":    {map[string]any{"actor.metadata": map[string]any{"k": strings.Repeat("v", 501)}}, []string{"/actor/metadata/k"}},
		"list":     {map[string]any{"metadata": map[string]any{"k": []int{1}}}, []string{"/metadata/k"}},
		"null":     {map[string]any{"metadata": map[string]any{"k": nil}}, []string{"/metadata/k"}},
		"no map":   {map[string]any{"metadata": "x"}, []string{"/metadata"}},
		"nul":      {map[string]any{"actor.id": "a\x00b", "metadata": map[string]any{"k": "\x00"}}, []string{"/actor/id", "/metadata/k"}},
		"nul name": {map[string]any{"targets": []any{map[string]any{"id": "1", "type": "\x00", "name": "x"}}}, []string{"/targets/0/type"}},
		"ours":     {map[string]any{"action": trail.Trimmed}, []string{"/action"}},
		"long":     {map[string]any{"action": strings.Repeat("a", 201)}, []string{"/action"}},
		"version":  {map[string]any{"version": 2}, []string{"/version"}},
		"number":   {map[string]any{"metadata": map[string]any{"k": json.Number(strings.Repeat("1", 41))}}, []string{"/metadata/k"}},
	} {
		same(t, name, w.call(writeEvent, eventIn(org, c.changes)).refused(400, "invalid_audit_log_event").paths(), c.paths)
	}
	for name, c := range map[string]struct {
		changes map[string]any
		faults  []string
	}{
		"no action":  {map[string]any{"action": nil}, []string{"event.action: required"}},
		"no time":    {map[string]any{"occurred_at": "yesterday"}, []string{"event.occurred_at: invalid"}},
		"no actor":   {map[string]any{"actor": nil}, []string{"event.actor: required"}},
		"actor":      {map[string]any{"actor": "jo"}, []string{"event.actor: invalid_type"}},
		"actor's id": {map[string]any{"actor.id": nil}, []string{"event.actor.id: required"}},
		"no targets": {map[string]any{"targets": nil}, []string{"event.targets: required"}},
		"target":     {map[string]any{"targets": []any{map[string]any{"id": "x"}}}, []string{"event.targets[0].type: required"}},
		"no context": {map[string]any{"context": nil}, []string{"event.context: required"}},
		"location":   {map[string]any{"context.location": nil}, []string{"event.context.location: required"}},
		"unknown":    {map[string]any{"context.ip": "x", "actor.x": 1, "more": 1}, []string{"event.actor.x: unknown", "event.context.ip: unknown", "event.more: unknown"}},
		"version":    {map[string]any{"version": 0}, []string{"event.version: invalid"}},
	} {
		same(t, name, w.call(writeEvent, eventIn(org, c.changes)).refused(422, "invalid_request_parameters").faults(), c.faults)
	}
	same(t, "nothing", w.call(writeEvent, map[string]any{}).refused(422, "invalid_request_parameters").faults(), []string{"event: required", "organization_id: required"})
	w.call(writeEvent, eventIn("org_0", nil)).refused(404, "entity_not_found")
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
}

func TestEventsAreHeldAgainstTheSchemaOfTheirAction(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	object := func(properties map[string]any, required ...string) map[string]any {
		return map[string]any{"type": "object", "properties": properties, "required": append([]string{}, required...)}
	}
	first := w.call(createSchema, "invoice.paid", map[string]any{"targets": []any{map[string]any{"type": "invoice"}}}).want(201)
	if first.get("version") != "1" || first.get("actor") != "" || first.get("metadata") != "" {
		t.Errorf("%s", first.body)
	}
	w.call(writeEvent, eventIn(org, nil)).want(200)
	second := w.call(createSchema, "invoice.paid", map[string]any{
		"actor": map[string]any{"metadata": object(map[string]any{"role": map[string]any{"type": "string"}})},
		"targets": []any{
			map[string]any{"type": "invoice", "metadata": object(map[string]any{"cost": map[string]any{"type": "number", "maximum": 100}})}, map[string]any{"type": "team"},
		},
		"metadata": object(map[string]any{"n": map[string]any{"type": "integer"}, "ok": map[string]any{"const": true}}, "s"),
	}).want(201)
	if second.get("version") != "2" || second.get("actor.metadata.properties.role.type") != "string" {
		t.Errorf("%s", second.body)
	}
	w.call(writeEvent, eventIn(org, nil)).want(200)
	w.call(writeEvent, eventIn(org, map[string]any{"version": 2})).want(200)
	for name, c := range map[string]struct {
		changes map[string]any
		paths   []string
	}{
		"metadata":  {map[string]any{"metadata": map[string]any{"n": "three", "ok": false}}, []string{"/metadata", "/metadata/n", "/metadata/ok"}},
		"none":      {map[string]any{"metadata": nil}, []string{"/metadata"}},
		"actor":     {map[string]any{"actor.metadata": map[string]any{"role": 1}}, []string{"/actor/metadata/role"}},
		"target":    {map[string]any{"targets": []any{map[string]any{"id": "1", "type": "team"}, map[string]any{"id": "2", "type": "invoice", "metadata": map[string]any{"cost": 101}}}}, []string{"/targets/1/metadata/cost"}},
		"type":      {map[string]any{"targets": []any{map[string]any{"id": "1", "type": "user"}}}, []string{"/targets/0/type"}},
		"no target": {map[string]any{"targets": []any{}}, []string{"/targets"}},
		"version":   {map[string]any{"version": 3}, []string{"/version"}},
	} {
		same(t, name, w.call(writeEvent, eventIn(org, c.changes)).refused(400, "invalid_audit_log_event").paths(), c.paths)
	}
	// What was good by the first is good by it still.
	w.call(writeEvent, eventIn(org, map[string]any{"version": 1, "metadata": map[string]any{"n": "three"}})).want(200)
	w.call(writeEvent, eventIn(org, map[string]any{"action": "other", "metadata": map[string]any{"n": "three"}})).want(200)

	w.call(createSchema, "team.made", map[string]any{"targets": []any{map[string]any{"type": "team"}}}).want(201)
	same(t, "actions", w.call(actions).want(200).ids("name"), []string{"team.made", "invoice.paid"})
	same(t, "in order", w.call(actions, "?order=asc&limit=1").want(200).ids("name"), []string{"invoice.paid"})
	same(t, "schemas", w.call(schemas, "invoice.paid").want(200).ids("version"), []string{"2", "1"})
	page := w.call(schemas, "invoice.paid", "?limit=1").want(200)
	same(t, "the rest", w.call(schemas, "invoice.paid", "?after="+page.get("list_metadata.after")).want(200).ids("version"), []string{"1"})
	w.call(schemas, "nothing").refused(404, "entity_not_found")
	w.call(actions, "?x=1").refused(422, "invalid_request_parameters")
	acme := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(org)})
	w.as(acme, createSchema, "x", map[string]any{"targets": []any{map[string]any{"type": "team"}}}).refused(403, "forbidden")
	same(t, "to one organization", w.as(acme, actions).want(200).ids("name"), []string{"team.made", "invoice.paid"})
}

// A schema has nobody read files, call addresses or think without an end.
func TestASchemaThatIsNoneOrReachesOutIsRefused(t *testing.T) {
	w := newWorld(t)
	at := w.head()
	team := []any{map[string]any{"type": "team"}}
	for name, c := range map[string]struct {
		body  map[string]any
		field string
	}{
		"no targets":  {map[string]any{}, "targets"},
		"file":        {map[string]any{"targets": team, "metadata": map[string]any{"$ref": "file:///etc/passwd"}}, "metadata"},
		"address":     {map[string]any{"targets": team, "metadata": map[string]any{"$schema": "http://127.0.0.1:1/x"}}, "metadata"},
		"itself":      {map[string]any{"targets": team, "metadata": map[string]any{"allOf": []any{map[string]any{"$ref": "#"}}}}, "metadata"},
		"type":        {map[string]any{"targets": team, "metadata": map[string]any{"type": "thing"}}, "metadata"},
		"pattern":     {map[string]any{"targets": team, "actor": map[string]any{"metadata": map[string]any{"properties": map[string]any{"a": map[string]any{"pattern": "("}}}}}, "actor.metadata"},
		"of a target": {map[string]any{"targets": []any{map[string]any{"type": "team", "metadata": map[string]any{"$id": "x"}}}}, "targets[0].metadata"},
		"twice":       {map[string]any{"targets": append(team, team...)}, "targets[1].type"},
		"no object":   {map[string]any{"targets": team, "metadata": "x"}, "metadata"},
		"no metadata": {map[string]any{"targets": team, "actor": map[string]any{}}, "actor.metadata"},
		"unknown":     {map[string]any{"targets": team, "context": map[string]any{}}, "context"},
		"too long":    {map[string]any{"targets": team, "metadata": map[string]any{"description": strings.Repeat("x", 17<<10)}}, "metadata"},
	} {
		a := w.call(createSchema, "a.b", c.body).refused(422, "invalid_request_parameters")
		if f := a.faults(); len(f) != 1 || !strings.HasPrefix(f[0], c.field+":") {
			t.Errorf("%s: %q", name, f)
		}
	}
	w.call(createSchema, "orgate.mine", map[string]any{"targets": team}).refused(422, "invalid_request_parameters")
	w.call(createSchema, "a%00b", map[string]any{"targets": team}).refused(422, "invalid_request_parameters")
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
}

func (w *world) fetch(url string) (status int, header http.Header, body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestAnExportHasWhatWasCommittedBeforeItAndNothingOfAnother(t *testing.T) {
	w := newWorld(t)
	org, other := w.organizationNamed("Acme"), w.organizationNamed("Globex")
	hostile := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "a\r\nb,\"c\"", "'x", "＝1", "plain"}
	for _, s := range hostile {
		w.call(writeEvent, eventIn(org, map[string]any{"action": "cell", "actor.name": s, "actor.id": s, "context.user_agent": s, "metadata": map[string]any{"k": s}})).want(200)
	}
	w.call(writeEvent, eventIn(other, map[string]any{"actor.name": "of globex"})).want(200)
	x := w.call(createExport, exportOf(org)).want(201)
	if x.get("state") != "pending" || x.get("url") != "" {
		t.Errorf("%s", x.body)
	}
	if a := w.call(getExport, x.id()).want(200); a.get("state") != "pending" {
		t.Errorf("it is ready, and nothing is in the log yet: %s", a.body)
	}
	want := w.written(org)
	ready := w.call(getExport, x.id()).want(200)
	if ready.get("state") != "ready" || !strings.HasPrefix(ready.get("url"), w.url+"/orgate/v1/") {
		t.Fatalf("%s", ready.body)
	}
	status, header, body := w.fetch(ready.get("url"))
	if status != 200 || header.Get("Content-Type") != "text/csv; charset=utf-8" || header.Get("Cache-Control") != "no-store" || !strings.Contains(header.Get("Content-Disposition"), "attachment") || strings.Contains(body, "globex") {
		t.Fatalf("%d %v %s", status, header, body)
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || !slices.Equal(rows[0], reader.Columns()) || len(rows) < len(hostile)+2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	column := func(name string) int { return slices.Index(reader.Columns(), name) }
	for i, row := range rows[1:] {
		if row[column("hash")] != want[i].Hash.String() || row[column("id")] != want[i].ID {
			t.Errorf("row %d is another: %q", i, row)
		}
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") || strings.HasPrefix(cell, "＝") {
				t.Errorf("a formula: %q", cell)
			}
		}
	}
	// What was typed can be told from what was made of it. (A reader of CSV takes CRLF for LF; a file has it.)
	for i, s := range hostile {
		got := rows[2+i][column("actor_name")]
		if strings.ContainsAny(s[:1], "=+-@\t\r'") || strings.HasPrefix(s, "＝") {
			s = "'" + s
		}
		if got != strings.ReplaceAll(s, "\r\n", "\n") {
			t.Errorf("%q became %q", s, got)
		}
	}
	if !strings.Contains(body, "\"a\r\nb,\"\"c\"\"\"") {
		t.Error("CRLF is not in quotes as it was")
	}
	if w.log.Len() > 0 && strings.Contains(w.log.String(), "token=") {
		t.Error("the log has the link")
	}
}

func TestAnExportIsOfWhatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	for n, at := range []string{"2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z", "2026-04-03T00:00:00Z"} {
		w.call(writeEvent, eventIn(org, map[string]any{
			"action": fmt.Sprint("a", n), "occurred_at": at, "actor.id": fmt.Sprint("user_", n), "actor.name": fmt.Sprint("N", n), "targets": []any{map[string]any{"id": "x", "type": fmt.Sprint("t", n)}, map[string]any{"id": "y", "type": "all"}},
		})).want(200)
	}
	w.written(org)
	for name, c := range map[string]struct {
		changes map[string]any
		want    []string
	}{
		"range":   {map[string]any{"range_start": "2026-04-01T00:00:00Z", "range_end": "2026-04-03T00:00:00Z"}, []string{"a0", "a1"}},
		"actions": {map[string]any{"actions": []string{"a1", "a2"}}, []string{"a1", "a2"}},
		"ids":     {map[string]any{"actor_ids": []string{"user_2"}}, []string{"a2"}},
		"names":   {map[string]any{"actor_names": []string{"N0"}}, []string{"a0"}},
		"actors":  {map[string]any{"actors": []string{"N1"}}, []string{"a1"}},
		"targets": {map[string]any{"targets": []string{"t0", "t2"}}, []string{"a0", "a2"}},
		"both":    {map[string]any{"targets": []string{"all"}, "actions": []string{"a2"}}, []string{"a2"}},
		"neither": {map[string]any{"targets": []string{"t0"}, "actions": []string{"a2"}}, nil},
	} {
		body := exportOf(org)
		maps.Copy(body, c.changes)
		id := w.call(createExport, body).want(201).id()
		w.written(org)
		status, _, text := w.fetch(w.call(getExport, id).want(200).get("url"))
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if status != 200 || err != nil {
			t.Fatalf("%d %v", status, err)
		}
		var got []string
		for _, row := range rows[1:] {
			got = append(got, row[2])
		}
		same(t, name, got, c.want)
	}
	for name, changes := range map[string]map[string]any{
		"backwards": {"range_start": "2026-04-02T00:00:00Z", "range_end": "2026-04-01T00:00:00Z"},
		"empty":     {"range_start": "2026-04-01T00:00:00Z", "range_end": "2026-04-01T00:00:00Z"},
	} {
		body := exportOf(org)
		maps.Copy(body, changes)
		t.Log(name)
		w.call(createExport, body).refused(400, "invalid_audit_log_export_range_date")
	}
	same(t, "nothing", w.call(createExport, map[string]any{}).refused(422, "invalid_request_parameters").faults(), []string{"organization_id: required", "range_end: required", "range_start: required"})
	w.call(createExport, exportOf("org_0")).refused(404, "entity_not_found")
	w.call(getExport, "audit_log_export_0").refused(404, "entity_not_found")
}

// A link is good for ten minutes, for its export alone, and only as it was made; a new one is there for the asking.
func TestALinkIsGoodForItsExportAndForTenMinutes(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	var links, ids []string
	for range 2 {
		ids = append(ids, w.call(createExport, exportOf(org)).want(201).id())
	}
	w.written(org)
	for _, id := range ids {
		links = append(links, w.call(getExport, id).want(200).get("url"))
	}
	good := links[0]
	base, token, _ := strings.Cut(good, "?token=")
	for name, link := range map[string]string{
		"no token": base, "empty": base + "?token=", "cut": good[:len(good)-1], "changed": base + "?token=A" + token[1:], "another's": strings.Replace(good, ids[0], ids[1], 1),
		"more": good + "&x=1", "twice": good + "&token=" + token, "long": base + "?token=" + strings.Repeat("A", 5000), "of none": strings.Replace(good, ids[0], "audit_log_export_0", 1),
	} {
		if status, _, body := w.fetch(link); status != 403 || !strings.Contains(body, "link_expired") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _, _ := w.fetch(good); status != 200 {
		t.Errorf("%d", status)
	}
	w.later(10 * time.Minute)
	if status, _, _ := w.fetch(good); status != 403 {
		t.Errorf("after ten minutes: %d", status)
	}
	again := w.call(getExport, ids[0]).want(200).get("url")
	if status, _, _ := w.fetch(again); status != 200 || again == good {
		t.Errorf("a new one: %d", status)
	}
	w.later(trail.ExportLife)
	if a := w.call(getExport, ids[0]).want(200); a.get("state") != "expired" || a.get("url") != "" {
		t.Errorf("%s", a.body)
	}
	w.later(trail.ExportRecordLife)
	w.call(getExport, ids[0]).refused(404, "entity_not_found")
}

func TestRetentionIsThirtyDaysOrAYear(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	if a := w.call(getRetention, org).want(200); a.get("retention_period_in_days") != "365" {
		t.Errorf("%s", a.body)
	}
	at := w.head()
	if a := w.call(setRetention, org, map[string]any{"retention_period_in_days": 30}).want(200); a.get("retention_period_in_days") != "30" {
		t.Errorf("%s", a.body)
	}
	if a := w.call(getLogConfig, org).want(200); a.get("retention_period_in_days") != "30" || a.get("state") != "active" || a.get("organization_id") != org || a.fields["log_stream"] != nil {
		t.Errorf("%s", a.body)
	}
	same(t, "events", w.eventsSince(at), []string{audit.AuditLogRetentionUpdated})
	for period, days := range map[string]string{"1_MONTH": "30", "11_MONTHS": "330", "1_YEAR": "365", "10_YEARS": "3650"} {
		if a := w.call(setRetention, org, map[string]any{"retention_period": period}).want(200); a.get("retention_period_in_days") != days {
			t.Errorf("%s: %s", period, a.body)
		}
	}
	for _, period := range []string{"0_MONTHS", "1_MONTHS", "12_MONTHS", "01_YEAR", "2_YEAR", "11_YEARS", "-1_YEAR", "1_DAY", "", "1", "_"} {
		w.call(setRetention, org, map[string]any{"retention_period": period}).refused(422, "invalid_request_parameters")
	}
	w.call(setRetention, org, map[string]any{"retention_period": "1_YEAR", "retention_period_in_days": 30}).refused(422, "invalid_request_parameters")
	for _, v := range []any{0, 31, -30, 366, 30.5, "30", nil, true} {
		w.call(setRetention, org, map[string]any{"retention_period_in_days": v}).refused(422, "invalid_request_parameters")
	}
	w.call(setRetention, org, map[string]any{}).refused(422, "invalid_request_parameters")
	w.call(setRetention, org, map[string]any{"retention_period_in_days": 30, "x": 1}).refused(422, "invalid_request_parameters")
	for _, op := range []string{getRetention, getLogConfig} {
		w.call(op, "org_0").refused(404, "entity_not_found")
	}
	w.call(setRetention, "org_0", map[string]any{"retention_period_in_days": 30}).refused(404, "entity_not_found")
}

func TestWithAnOrganizationGoItsLogAndItsExports(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	w.call(writeEvent, eventIn(org, nil)).want(200)
	id := w.call(createExport, exportOf(org)).want(201).id()
	if n := len(w.written(org)); n != 3 {
		t.Errorf("%d entries", n)
	}
	link := w.call(getExport, id).want(200).get("url")
	w.call("DELETE /organizations/{id}", org).want(202)
	if status, _, _ := w.fetch(link); status != 404 {
		t.Errorf("%d", status)
	}
	w.call(getExport, id).refused(404, "entity_not_found")
	w.call(writeEvent, eventIn(org, nil)).refused(404, "entity_not_found")
	if n := len(w.written(org)); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	all := w.written(string(trail.Installation))
	if last := all[len(all)-1]; last.Action != audit.OrganizationDeleted || last.Targets[0].ID != org || last.Actor.Type != "api_key" {
		t.Errorf("%+v", last)
	}
}

// Many write at once, and each is in the log.
func TestWhatIsWrittenAtOnceIsAllThere(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	var all sync.WaitGroup
	for h := range 8 {
		all.Go(func() {
			for n := range 20 {
				if a := w.call(writeEvent, eventIn(org, map[string]any{"actor.id": fmt.Sprint(h, "-", n)})); a.status != 200 {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, e := range w.written(org) {
		seen[e.Actor.ID] = true
	}
	if len(seen) != 161 {
		t.Errorf("%d of 160", len(seen)-1)
	}
	r, err := reader.Verify(t.Context(), w.s, trail.Log(org))
	if err != nil || r.Fault != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestANumberThatNobodyCanCompareIsRefused(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	schema := func(of string) map[string]any {
		return map[string]any{"targets": []any{map[string]any{"type": "invoice"}}, "metadata": json.RawMessage(`{"properties": {"n": {` + of + `}}}`)}
	}
	w.call(createSchema, "invoice.paid", schema(`"type": "number", "minimum": 1`)).want(201)
	for _, n := range []string{"1e9999999", "1E+1000000", "1e-1000000", "1e-9999999", "1e99999999999999999999"} {
		a := w.call(writeEvent, eventIn(org, map[string]any{"metadata": map[string]any{"n": json.RawMessage(n)}})).refused(400, "invalid_audit_log_event")
		if got := a.paths(); !slices.Equal(got, []string{"/metadata/n"}) {
			t.Errorf("%s: %q", n, got)
		}
		for _, of := range []string{`"multipleOf": ` + n, `"minLength": ` + n, `"enum": [1, ` + n + `]`} {
			w.call(createSchema, "invoice.paid", schema(of)).refused(422, "invalid_request_parameters")
		}
	}
	w.call(writeEvent, eventIn(org, map[string]any{"metadata": map[string]any{"n": json.RawMessage("1.5e300")}})).want(200)
}
