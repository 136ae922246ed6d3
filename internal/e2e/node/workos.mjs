// The unmodified WorkOS SDK against orgate: the life of an organization, as a backend that moves over asks for it.
import { WorkOS } from '@workos-inc/node';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';

const { key, port } = JSON.parse(process.env.ORGATE_TEST_CLIENT);
const workos = new WorkOS(key, { apiHostname: '127.0.0.1', port, https: false });
const um = workos.userManagement;

const refused = async (promise, status, code) => {
  const e = await promise.then(() => assert.fail(`done, want ${status} ${code}`), (e) => e);
  assert.equal(e.status, status, `${e}`);
  if (code) assert.equal(e.code ?? e.rawData?.code, code, `${e}`);
  assert.ok(e.requestID, 'no request id');
  return e;
};

// Organizations and domains.
const org = await workos.organizations.createOrganization({
  name: 'Initech', externalId: 'initech', metadata: { tier: 'gold' },
  domainData: [{ domain: 'initech.test', state: 'verified' }, { domain: 'initech.example', state: 'pending' }],
});
assert.equal(org.name, 'Initech');
assert.deepEqual(org.domains.map((d) => [d.domain, d.state]), [['initech.example', 'pending'], ['initech.test', 'verified']]); // by name
assert.equal((await workos.organizations.getOrganizationByExternalId('initech')).id, org.id);
assert.equal((await workos.organizations.updateOrganization({ organization: org.id, metadata: { tier: 'silver' } })).metadata.tier, 'silver');
assert.deepEqual((await workos.organizations.listOrganizations({ domains: ['initech.test'] })).data.map((o) => o.id), [org.id]);
await refused(workos.organizations.createOrganization({ name: '' }), 422);
await refused(workos.organizations.getOrganization('org_01ARZ3NDEKTSV4RRFFQ69G5FAV'), 404);
const domain = await workos.organizationDomains.createOrganizationDomain({ organizationId: org.id, domain: 'more.test' });
assert.equal(domain.state, 'pending');
await workos.organizationDomains.verifyOrganizationDomain(domain.id);
await workos.organizationDomains.deleteOrganizationDomain(domain.id);

// A user and their membership.
const user = await um.createUser({ email: 'peter@initech.test', firstName: 'Peter', lastName: 'Gibbons', emailVerified: true, externalId: 'p1', metadata: { desk: '7' } });
assert.equal(user.email, 'peter@initech.test');
assert.equal((await um.getUserByExternalId('p1')).id, user.id);
assert.equal((await um.updateUser({ userId: user.id, lastName: 'G.' })).lastName, 'G.');
const taken = await refused(um.createUser({ email: 'peter@initech.test' }), 400, 'user_creation_error');
assert.equal(taken.errors?.[0]?.code ?? taken.rawData?.errors?.[0]?.code, 'email_not_available');

let m = await um.createOrganizationMembership({ userId: user.id, organizationId: org.id });
assert.deepEqual([m.status, m.role.slug, m.organizationName], ['active', 'member', 'Initech']);
m = await um.updateOrganizationMembership(m.id, { roleSlug: 'admin' });
assert.equal(m.role.slug, 'admin');
m = await um.deactivateOrganizationMembership(m.id);
assert.equal(m.status, 'inactive');
assert.deepEqual((await um.listOrganizationMemberships({ organizationId: org.id, statuses: ['active'] })).data, []);
m = await um.reactivateOrganizationMembership(m.id);
assert.deepEqual([m.status, m.role.slug], ['active', 'admin']);
assert.deepEqual((await um.listOrganizationMemberships({ userId: user.id })).data.map((x) => x.id), [m.id]);
await refused(um.updateOrganizationMembership(m.id, { roleSlug: 'boss' }), 422);
assert.deepEqual((await um.listSessions(user.id)).data, []);
assert.deepEqual(await um.getUserIdentities(user.id), []);

// Roles.
const roles = await workos.authorization.listOrganizationRoles(org.id);
assert.deepEqual(roles.data.map((r) => r.slug), ['admin', 'member']);
const role = await workos.authorization.createOrganizationRole(org.id, { slug: 'org-clerk', name: 'Clerk' });
await workos.authorization.setOrganizationRolePermissions(org.id, role.slug, { permissions: ['reports:read'] });
assert.deepEqual((await workos.authorization.getOrganizationRole(org.id, role.slug)).permissions, ['reports:read']);

// Factors, codes and resets. The code of an authenticator app is made here, as one would.
const totp = (secret) => {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
};
const own = await workos.multiFactorAuth.enrollFactor({ type: 'totp', issuer: 'Initech', user: 'peter' });
assert.ok(own.totp.qrCode.startsWith('data:image/png;base64,') && own.totp.uri.startsWith('otpauth://totp/'));
let asked = await workos.multiFactorAuth.challengeFactor({ authenticationFactorId: own.id });
assert.equal((await workos.multiFactorAuth.verifyChallenge({ authenticationChallengeId: asked.id, code: totp(own.totp.secret) })).valid, true);
asked = await workos.multiFactorAuth.challengeFactor({ authenticationFactorId: own.id });
assert.equal((await workos.multiFactorAuth.verifyChallenge({ authenticationChallengeId: asked.id, code: totp(own.totp.secret) })).valid, false); // once
await workos.multiFactorAuth.deleteFactor(own.id);
await refused(workos.multiFactorAuth.getFactor(own.id), 404);
await refused(workos.multiFactorAuth.enrollFactor({ type: 'sms', phoneNumber: '+15005550006' }), 422);

const { authenticationFactor, authenticationChallenge } = await workos.multiFactorAuth.createUserAuthFactor({ userId: user.id, type: 'totp', totpIssuer: 'Initech' });
assert.equal((await workos.multiFactorAuth.verifyChallenge({ authenticationChallengeId: authenticationChallenge.id, code: totp(authenticationFactor.totp.secret) })).valid, true);
assert.deepEqual((await workos.multiFactorAuth.listUserAuthFactors({ userId: user.id })).data.map((f) => [f.id, f.totp.issuer]), [[authenticationFactor.id, 'Initech']]);
await refused(workos.multiFactorAuth.createUserAuthFactor({ userId: user.id, type: 'totp' }), 409, 'authentication_factor_already_exists');
await workos.multiFactorAuth.deleteFactor(authenticationFactor.id);

const magic = await um.createMagicAuth({ email: 'peter@initech.test' });
assert.match(magic.code, /^\d{6}$/);
assert.equal((await um.getMagicAuth(magic.id)).code, magic.code);
const reset = await um.createPasswordReset({ email: 'peter@initech.test' });
assert.ok(reset.passwordResetUrl.endsWith(`/password-reset/${reset.passwordResetToken}`));
assert.equal((await um.resetPassword({ token: reset.passwordResetToken, newPassword: 'a red stapler on the desk' })).user.id, user.id);
await refused(um.resetPassword({ token: reset.passwordResetToken, newPassword: 'a red stapler on the desk' }), 400);

const fresh = await um.createUser({ email: 'milton@initech.example', passwordHash: '$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K', passwordHashType: 'bcrypt' });
assert.equal((await um.sendVerificationEmail({ userId: fresh.id })).user.emailVerified, false);
const [sent] = (await workos.events.listEvents({ events: ['email_verification.created'] })).data;
const { code } = await um.getEmailVerification(sent.data.id);
assert.equal((await um.verifyEmail({ userId: fresh.id, code })).user.emailVerified, true);
await refused(um.verifyEmail({ userId: fresh.id, code }), 400, 'email_previously_verified');
await um.deleteUser(fresh.id);
// Groups, and what their members may by them.
const here = { organizationMembershipId: m.id, permissionSlug: 'reports:delete', resourceId: org.id };
await um.updateOrganizationMembership(m.id, { roleSlug: 'member' });
const may = async () => (await workos.authorization.check(here)).authorized;
const before = await may();
const group = await workos.groups.createGroup({ organizationId: org.id, name: 'Accounts' });
await workos.groups.addOrganizationMembership({ organizationId: org.id, groupId: group.id, organizationMembershipId: m.id });
assert.deepEqual((await workos.groups.listOrganizationMemberships({ organizationId: org.id, groupId: group.id })).data.map((x) => x.id), [m.id]);
const given = await workos.authorization.createGroupRoleAssignment({ groupId: group.id, roleSlug: 'admin' });
assert.deepEqual([given.role.slug, given.resource.id, before, await may()], ['admin', org.id, false, true]);
const why = (await workos.authorization.listRoleAssignments({ organizationMembershipId: m.id })).data;
assert.deepEqual(why.map((r) => r.role.slug).sort(), ['admin', 'member']);
await workos.groups.deleteGroup({ organizationId: org.id, groupId: group.id });
assert.equal(await may(), false);
await workos.authorization.assignRole({ organizationMembershipId: m.id, roleSlug: 'admin', resourceId: org.id });
assert.equal(await may(), true);
await workos.authorization.removeRole({ organizationMembershipId: m.id, roleSlug: 'admin', resourceId: org.id });

// Keys that customers have for the app, links to the admin portal, directories.
const appKey = await workos.apiKeys.createOrganizationApiKey({ organizationId: org.id, name: 'CI', permissions: ['reports:read'] });
assert.deepEqual((await workos.apiKeys.listOrganizationApiKeys({ organizationId: org.id })).data.map((k) => k.id), [appKey.id]);
assert.deepEqual((await workos.apiKeys.createValidation({ value: appKey.value })).apiKey.permissions, ['reports:read']);
assert.equal((await workos.apiKeys.createValidation({ value: key })).apiKey, null);
await workos.apiKeys.deleteApiKey(appKey.id);
assert.equal((await workos.apiKeys.createValidation({ value: appKey.value })).apiKey, null);
const { link } = await workos.adminPortal.generateLink({ organization: org.id, intent: 'sso', returnUrl: 'https://app.initech.test' });
assert.match(link, /\/portal\/[\w-]{43}$/);
assert.deepEqual((await workos.directorySync.listDirectories({ organizationId: org.id })).data, []);
assert.deepEqual((await workos.directorySync.listUsers({})).data, []);

// Pages: the SDK reads them one after the other by itself.
const made = [];
for (let i = 0; i < 25; i++) made.push((await um.createUser({ email: `u${i}@initech.test` })).id);
const everybody = [...made.reverse(), user.id];
assert.deepEqual((await (await um.listUsers()).autoPagination()).map((u) => u.id), everybody);
const listed = [];
for (let after; ;) {
  const page = await um.listUsers({ limit: 10, ...(after && { after }) });
  listed.push(...page.data.map((u) => u.id));
  after = page.listMetadata.after;
  if (!after) break;
}
assert.deepEqual(listed, everybody);

// The audit log: what the app writes, and an export of it.
await workos.auditLogs.createSchema({ action: 'invoice.paid', targets: [{ type: 'invoice', metadata: { cost: 'number' } }], actor: { metadata: { role: 'string' } } }, {});
const paid = {
  action: 'invoice.paid', occurredAt: new Date(), actor: { id: user.id, type: 'user', name: '=Peter', metadata: { role: 'clerk' } },
  targets: [{ id: 'inv_1', type: 'invoice', metadata: { cost: 12.5 } }], context: { location: '192.0.2.7', userAgent: 'test' }, metadata: { note: 'a' },
};
for (let i = 0; i < 2; i++) await workos.auditLogs.createEvent(org.id, paid, { idempotencyKey: 'paid-1' });
await refused(workos.auditLogs.createEvent(org.id, { ...paid, targets: [{ id: 'x', type: 'team' }] }), 400, 'invalid_audit_log_event');
assert.deepEqual((await workos.auditLogs.listSchemas('invoice.paid')).data.map((s) => s.version), [1]);
assert.equal((await workos.auditLogs.updateOrganizationAuditLogsRetention({ id: org.id, retentionPeriod: '1_MONTH' })).retentionPeriodInDays, 30);
assert.equal((await workos.auditLogs.getOrganizationAuditLogsRetention({ id: org.id })).retentionPeriodInDays, 30);
let log = await workos.auditLogs.createExport({ organizationId: org.id, rangeStart: new Date(Date.now() - 3.6e6), rangeEnd: new Date(Date.now() + 3.6e6), actions: ['invoice.paid'] });
assert.equal(log.state, 'pending');
for (let i = 0; log.state !== 'ready'; i++) {
  assert.ok(i < 200, 'the export is not ready');
  await new Promise((r) => setTimeout(r, 50));
  log = await workos.auditLogs.getExport(log.id);
}
const csv = await (await fetch(log.url)).text();
assert.equal(csv.split('\n').filter(Boolean).length, 2, csv); // the header, and it once
assert.ok(csv.includes("'=Peter") && csv.includes('192.0.2.7'), csv);
assert.equal((await fetch(log.url + 'x')).status, 403);

// What is not there says so.
await refused(workos.featureFlags.listFeatureFlags(), 404, 'not_implemented');

// Events, in the order of what was done.
const events = [];
for (let after; ;) {
  const page = await workos.events.listEvents({ organizationId: org.id, limit: 3, ...(after && { after }) });
  events.push(...page.data);
  after = page.listMetadata.after;
  if (!after) break;
}
await workos.organizations.deleteOrganization(org.id);
await refused(workos.organizations.getOrganization(org.id), 404);
await refused(um.getOrganizationMembership(m.id), 404);
await um.deleteUser(user.id);
console.log(JSON.stringify({ organization: org.id, events: events.map((e) => e.event) }));
