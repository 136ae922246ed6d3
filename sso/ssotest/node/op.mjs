// A certified OpenID provider, configured by JSON in ORGATE_TEST_PROVIDER. It listens on a
// free port of loopback and prints {"issuer": ...} once it does.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const config = JSON.parse(process.env.ORGATE_TEST_PROVIDER);
const server = createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const people = Object.fromEntries(config.people.map((p) => [p.sub, p]));
  const claims = config.people.flatMap((p) => Object.keys(p)).filter((c) => !['sub', 'email', 'email_verified', 'name', 'groups'].includes(c));

  const provider = new Provider(issuer, {
    clients: config.clients.map((c) => ({
      client_id: c.id,
      ...(c.secret && { client_secret: c.secret }),
      grant_types: ['authorization_code'],
      redirect_uris: c.redirectURIs,
      post_logout_redirect_uris: c.postLogoutURIs,
      ...(c.backchannelLogoutURI && { backchannel_logout_uri: c.backchannelLogoutURI, backchannel_logout_session_required: true }),
      ...(c.authMethod && { token_endpoint_auth_method: c.authMethod }),
    })),
    pkce: { required: () => true },
    // Left alone, the provider refuses to call loopback addresses.
    fetch: (url, options) => {
      delete options.dispatcher;
      return globalThis.fetch(url, options);
    },
    claims: {
      openid: ['sub', 'acr', 'auth_time', ...claims],
      email: ['email', 'email_verified'],
      profile: ['name'],
      groups: ['groups'],
    },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
    // Whether the scopes' claims are in the ID token too, or in userinfo alone.
    conformIdTokenClaims: config.lean,
    cookies: { keys: [config.cookieKey] },
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    async findAccount(_, id) {
      const person = people[id];
      return person && { accountId: id, claims: async () => person };
    },
  });
  for (const event of ['backchannel.error', 'server_error']) {
    provider.on(event, (...args) => console.error(event, args.find((a) => a instanceof Error)?.message));
  }
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});
