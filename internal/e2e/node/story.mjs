// The life of one member, as an app's backend has it by the unmodified WorkOS SDK. A person with a browser
// does the rest: each step says what it did as a line of JSON, and goes on when a line comes in.
import { WorkOS } from '@workos-inc/node';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const { key, port } = JSON.parse(process.env.ORGATE_TEST_CLIENT);
const workos = new WorkOS(key, { apiHostname: '127.0.0.1', port, https: false });
const um = workos.userManagement;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const until = async (done) => {
  for (;;) {
    const got = await done();
    if (got) return got;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};
const told = async (what) => {
  console.log(JSON.stringify(what));
  return (await lines.next()).value;
};

// Webhooks are verified by the SDK, from the bytes as they came; what it does not believe is not here.
const hooks = [];
let secret;
const receiver = createServer(async (req, res) => {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const payload = Buffer.concat(chunks).toString();
  try {
    hooks.push(await workos.webhooks.constructEvent({ payload, sigHeader: req.headers['workos-signature'], secret }));
    res.writeHead(200).end();
  } catch (e) {
    hooks.push({ event: `refused: ${e}` });
    res.writeHead(400).end();
  }
}).listen(0, '127.0.0.1');
await until(() => receiver.listening);

const org = await workos.organizations.createOrganization({ name: 'Initech', domainData: [{ domain: 'initech.test', state: 'verified' }] });
const endpoint = await workos.webhooks.createWebhookEndpoint({
  endpointUrl: `http://127.0.0.1:${receiver.address().port}/hooks`,
  events: ['invitation.created', 'invitation.accepted', 'organization_membership.created', 'organization_membership.updated', 'session.revoked'],
});
secret = endpoint.secret;
const invitation = await um.sendInvitation({ email: 'milton@stapler.test', organizationId: org.id, roleSlug: 'member' });
assert.equal(invitation.state, 'pending');
await told({ step: 'invited' });

// The person has accepted in a browser.
const membership = async () => (await um.listOrganizationMemberships({ organizationId: org.id, statuses: ['active', 'inactive'] })).data[0];
let m = await membership();
assert.deepEqual([m.status, m.role.slug], ['active', 'member']);
assert.equal((await um.getInvitation(invitation.id)).state, 'accepted');
assert.equal((await um.getUser(m.userId)).email, 'milton@stapler.test');
m = await um.updateOrganizationMembership(m.id, { roleSlug: 'admin' });
assert.equal(m.role.slug, 'admin');
await told({ step: 'promoted' });

assert.equal((await um.deactivateOrganizationMembership(m.id)).status, 'inactive');
await told({ step: 'deactivated' });

m = await um.reactivateOrganizationMembership(m.id);
assert.deepEqual([m.status, m.role.slug], ['active', 'admin']);
await told({ step: 'reactivated' });

const events = [];
for (let after; ;) {
  const page = await workos.events.listEvents({
    organizationId: org.id, events: ['invitation.created', 'invitation.accepted', 'organization_membership.created', 'organization_membership.updated'], limit: 2, ...(after && { after }),
  });
  events.push(...page.data);
  after = page.listMetadata.after;
  if (!after) break;
}
const happened = events.map((e) => `${e.event} ${e.data.status ?? e.data.state}`);
assert.deepEqual(happened, [
  'organization_membership.created pending', 'invitation.created pending', 'organization_membership.updated active', 'invitation.accepted accepted',
  'organization_membership.updated active', 'organization_membership.updated inactive', 'organization_membership.updated active',
]);

// Every one of them came as a webhook too, and nothing that was not genuine. Their order is not promised.
const delivered = () => hooks.filter((h) => events.some((e) => e.id === h.id)).length;
await until(() => delivered() >= events.length);
assert.deepEqual(hooks.filter((h) => h.event.startsWith('refused')), []);
assert.ok(hooks.some((h) => h.event === 'session.revoked'), 'no webhook of the sessions that ended');
// The audit log has what was done, by whom, and what the app wrote beside it.
await workos.auditLogs.createEvent(org.id, {
  action: 'stapler.moved', occurredAt: new Date(), actor: { id: m.userId, type: 'user', name: 'Milton' },
  targets: [{ id: 'stapler_1', type: 'stapler' }], context: { location: '192.0.2.7' },
});
const log = await workos.auditLogs.createExport({ organizationId: org.id, rangeStart: new Date(Date.now() - 3.6e6), rangeEnd: new Date(Date.now() + 3.6e6) });
const csv = await until(async () => {
  const { state, url } = await workos.auditLogs.getExport(log.id);
  return state === 'ready' && (await fetch(url)).text();
});
for (const action of ['invitation.created', 'organization_membership.updated', 'session.created', 'session.revoked', 'stapler.moved']) {
  assert.ok(csv.includes(action), `the export has no ${action}:\n${csv}`);
}
await workos.webhooks.deleteWebhookEndpoint({ id: endpoint.id });

console.log(JSON.stringify({ step: 'done', organization: org.id, hooks: hooks.length }));
receiver.close();
process.exit(0);
