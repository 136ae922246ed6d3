// oauth2-mock-server, configured by JSON in ORGATE_TEST_PROVIDER: it says yes to everything,
// and puts into its tokens whatever "claims" says (null takes a claim away).
import { OAuth2Server } from 'oauth2-mock-server';

const config = JSON.parse(process.env.ORGATE_TEST_PROVIDER);
const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
server.service.on('beforeTokenSigning', (token) => {
  for (const [name, value] of Object.entries(config.claims)) {
    if (value === null) delete token.payload[name];
    else token.payload[name] = value;
  }
});
if (config.userinfo) {
  server.service.on('beforeUserinfo', (answer) => {
    answer.body = config.userinfo;
  });
}
await server.start(0, '127.0.0.1');
const { port } = server.address();
server.issuer.url = `http://127.0.0.1:${port}`;
console.log(JSON.stringify({ issuer: server.issuer.url }));
