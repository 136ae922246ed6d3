// npm install jose
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.ORGATE_URL;     // https://login.example.com
const audience = process.env.ORGATE_AUDIENCE; // your app's name in orgate.yaml, or one tenant host

// The keys are fetched once, cached, and fetched again when a new one appears.
const keys = createRemoteJWKSet(new URL('/.well-known/orgate/jwks.json', process.env.ORGATE_JWKS ?? issuer));

export async function identity(request) {
  const token = request.headers['x-orgate-jwt-assertion'];
  const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ['ES256'] });
  return { user: payload.sub, organization: payload.org_id, role: payload.role };
}
