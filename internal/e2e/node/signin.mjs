// The unmodified WorkOS SDK signs people in by orgate: each step is one run, and the browser between them is the test's.
import { WorkOS } from '@workos-inc/node';
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, verify } from 'node:crypto';

const { key, port, step, callback, ...given } = JSON.parse(process.env.ORGATE_TEST_CLIENT);
const clientId = 'client_app';
const workos = new WorkOS(key, { clientId, apiHostname: '127.0.0.1', port, https: false });
const um = workos.userManagement;
const cookiePassword = 'a password of at least 32 characters';
const decodeJwt = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const verified = async (token) => {
  const { kid, alg } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
  const { keys } = await (await fetch(um.getJwksUrl(clientId))).json();
  const jwk = keys.find((k) => k.kid === kid);
  assert.equal(alg, 'RS256');
  const [head, body, signature] = token.split('.');
  assert.ok(verify('sha256', Buffer.from(`${head}.${body}`), createPublicKey({ key: jwk, format: 'jwk' }), Buffer.from(signature, 'base64url')), 'signature');
  return decodeJwt(token);
};
const totp = (secret, ahead = 0) => {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + ahead));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
};
const answer = (o) => console.log(JSON.stringify(o));

const steps = {
  url: async () => answer(await um.getAuthorizationUrlWithPKCE({ provider: 'authkit', redirectUri: callback })),

  session: async () => {
    const auth = await um.authenticateWithCode({ code: given.code, codeVerifier: given.verifier, session: { sealSession: true, cookiePassword } });
    assert.equal(auth.user.email, 'alice@acme.test');
    assert.equal(auth.authenticationMethod, 'SSO');
    const payload = await verified(auth.accessToken);
    assert.equal(payload.iss, given.issuer);
    assert.equal(payload.sub, auth.user.id);
    assert.equal(payload.org_id, auth.organizationId);
    assert.deepEqual([payload.role, payload.permissions], ['admin', ['reports:delete', 'reports:read']]);

    // The sealed session is what middlewares keep in a cookie.
    const session = um.loadSealedSession({ sessionData: auth.sealedSession, cookiePassword });
    const seen = await session.authenticate();
    assert.equal(seen.authenticated, true);
    assert.deepEqual([seen.organizationId, seen.role, seen.user.email], [auth.organizationId, 'admin', 'alice@acme.test']);
    const fresh = await session.refresh();
    assert.equal(fresh.authenticated, true, JSON.stringify(fresh));
    assert.equal(fresh.sessionId, seen.sessionId);

    // Elsewhere, if that organization lets her in.
    const globex = (await workos.organizations.listOrganizations({ search: 'Globex' })).data.find((o) => o.name === 'Globex Corporation');
    await assert.rejects(um.authenticateWithRefreshToken({ refreshToken: fresh.session.refreshToken, organizationId: globex.id }),
      (e) => e.error === 'organization_membership_not_found');
    await um.createOrganizationMembership({ userId: auth.user.id, organizationId: globex.id });
    const there = await um.authenticateWithRefreshToken({ refreshToken: fresh.session.refreshToken, organizationId: globex.id });
    assert.equal(there.organizationId, globex.id);
    assert.equal(decodeJwt(there.accessToken).org_id, globex.id);
    answer({ refreshToken: there.refreshToken, secrets: [auth.accessToken, auth.refreshToken, there.accessToken, there.refreshToken, fresh.session.refreshToken],
      logout: um.getLogoutUrl({ sessionId: decodeJwt(there.accessToken).sid, returnTo: new URL('/bye', callback).href }) });
  },

  over: async () => {
    await assert.rejects(um.authenticateWithRefreshToken({ refreshToken: given.refreshToken }), (e) => e.error === 'invalid_grant');
    answer({});
  },

  sso: async () => {
    const org = (await workos.organizations.listOrganizations({ domains: ['acme.test'] })).data[0];
    answer({ url: workos.sso.getAuthorizationUrl({ organization: org.id, redirectUri: callback, clientId, state: 'kept' }) });
  },

  profile: async () => {
    const { profile, accessToken } = await workos.sso.getProfileAndToken({ code: given.code, clientId });
    assert.deepEqual([profile.email, profile.connectionType], ['alice@acme.test', 'GenericOIDC']);
    assert.equal((await workos.sso.getProfile({ accessToken })).id, profile.id);
    answer({ id: profile.id });
  },

  social: async () => {
    const asked = { provider: 'googleOAuth', redirectUri: callback, clientId, providerScopes: ['openid', 'phone'], providerQueryParams: { hd: 'elsewhere.test', hl: 'de' } };
    answer({ url: workos.sso.getAuthorizationUrl({ ...asked, state: 'kept' }), signIn: um.getAuthorizationUrl(asked) });
  },

  socialProfile: async () => {
    const { profile, accessToken } = await workos.sso.getProfileAndToken({ code: given.code, clientId });
    assert.deepEqual([profile.email, profile.connectionType, profile.organizationId, profile.idpId], ['jo@elsewhere.test', 'GenericOIDC', null, 'jo-1']);
    assert.deepEqual(await workos.sso.getProfile({ accessToken }), profile);
    assert.equal((await um.listUsers({ email: profile.email })).data.length, 0, 'a profile makes a user');
    answer({ id: profile.id });
  },

  password: async () => {
    const user = await um.createUser({ email: 'pat@else.test', password: 'correct horse battery', emailVerified: true });
    const orgs = (await workos.organizations.listOrganizations()).data;
    for (const o of orgs) await um.createOrganizationMembership({ userId: user.id, organizationId: o.id });
    await assert.rejects(um.authenticateWithPassword({ email: user.email, password: 'wrong' }), (e) => e.status === 400 && e.rawData?.code === 'invalid_credentials');
    const e = await um.authenticateWithPassword({ email: user.email, password: 'correct horse battery' }).then(() => assert.fail('no choice'), (e) => e);
    assert.equal(e.code, 'organization_selection_required', `${e}`);
    const to = e.rawData.organizations[1];
    const auth = await um.authenticateWithOrganizationSelection({ pendingAuthenticationToken: e.pendingAuthenticationToken, organizationId: to.id });
    assert.deepEqual([auth.organizationId, auth.authenticationMethod], [to.id, 'Password']);
    await assert.rejects(um.authenticateWithPassword({ email: 'alice@acme.test', password: 'x' }), (e) => e.error === 'organization_authentication_methods_required');
    answer({});
  },

  factors: async () => {
    const secretOf = (f) => f.totp.secret;
    const user = await um.createUser({ email: 'mia@else.test', password: 'correct horse battery', emailVerified: true });
    const sign = () => um.authenticateWithPassword({ email: user.email, password: 'correct horse battery', ipAddress: '203.0.113.7' });
    assert.equal((await sign()).organizationId, undefined); // she is in none
    const { authenticationFactor: f, authenticationChallenge: first } = await workos.multiFactorAuth.createUserAuthFactor({ userId: user.id, type: 'totp' });
    assert.equal((await workos.multiFactorAuth.verifyChallenge({ authenticationChallengeId: first.id, code: totp(secretOf(f)) })).valid, true);
    // She has a second factor now, so it is asked for.
    const e = await sign().then(() => assert.fail('no second factor asked for'), (e) => e);
    assert.equal(e.code, 'mfa_challenge', `${e}`);
    const challenge = await workos.multiFactorAuth.challengeFactor({ authenticationFactorId: e.rawData.authentication_factors[0].id });
    const done = await um.authenticateWithTotp({ pendingAuthenticationToken: e.pendingAuthenticationToken, authenticationChallengeId: challenge.id, code: totp(secretOf(f), 1) });
    assert.equal(done.user.id, user.id);

    // By a code that is mailed, and the address first where nobody has proved it.
    const bob = await um.createUser({ email: 'bob@else.test', password: 'correct horse battery' });
    const first2 = await um.authenticateWithPassword({ email: bob.email, password: 'correct horse battery' }).then(() => assert.fail('not verified'), (e) => e);
    assert.equal(first2.code, 'email_verification_required', `${first2}`);
    const { code } = await um.getEmailVerification(first2.rawData.email_verification_id);
    const verified = await um.authenticateWithEmailVerification({ pendingAuthenticationToken: first2.pendingAuthenticationToken, code });
    assert.equal(verified.user.emailVerified, true);
    const magic = await um.createMagicAuth({ email: bob.email });
    assert.equal((await um.authenticateWithMagicAuth({ email: bob.email, code: magic.code })).authenticationMethod, 'MagicAuth');
    answer({ secrets: [secretOf(f), magic.code, code] });
  },
};

await steps[step]();
