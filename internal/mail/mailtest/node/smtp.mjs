// A mail server, configured by JSON in ORGATE_TEST_SMTP. It prints {"port": ...} once it
// listens, and each mail that it takes. What it does with a mail is in the first word of
// the recipient's address, up to a hyphen:
//
//	bounce   550, for ever            grey    451 at the first two tries, then taken
//	drop     the connection ends      slow    as drop, and no answer before that
//	quote    554, which quotes all of the mail
import { createInterface } from 'node:readline';
import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';

const config = JSON.parse(process.env.ORGATE_TEST_SMTP);
const tried = new Map();

function refuse(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}


const server = new SMTPServer({
  secure: config.tls === 'implicit',
  hideSTARTTLS: config.tls !== 'starttls',
  hideENHANCEDSTATUSCODES: false,
  key: config.key,
  cert: config.cert,
  disabledCommands: [...(config.username ? [] : ['AUTH']), ...(config.tls === 'starttls' ? [] : ['STARTTLS'])],
  authOptional: !config.username,
  authMethods: config.methods ?? ['PLAIN', 'LOGIN'],
  allowInsecureAuth: config.tls === 'none',
  disableReverseLookup: true,
  logger: false,
  closeTimeout: 100,
  onAuth(auth, session, done) {
    if (auth.username !== config.username || auth.password !== config.password) {
      return done(refuse(535, `5.7.8 not ${auth.password}`)); // as no server should
    }
    done(null, { user: auth.username });
  },
  onMailFrom(address, session, done) {
    done(config.refuseSender ? refuse(550, '5.7.1 sender refused') : null);
  },
  onRcptTo(address, session, done) {
    const [kind] = address.address.split(/[-@]/);
    const n = (tried.get(address.address) ?? 0) + 1;
    tried.set(address.address, n);
    if (kind === 'bounce') return done(refuse(550, '5.1.1 no such person'));
    if (kind === 'grey' && n <= 2) return done(refuse(451, '4.7.1 come again'));
    if (kind === 'drop') return server.connections.forEach((c) => c._socket?.destroy());
    if (kind === 'slow') return; // never answers
    done();
  },
  onData(stream, session, done) {
    simpleParser(stream, { skipHtmlToText: true, skipTextToHtml: true }).then((mail) => {
      const to = session.envelope.rcptTo.map((r) => r.address);
      if (to[0].startsWith('quote')) {
        return done(refuse(554, `5.6.0 spam: ${mail.subject} ${mail.text.replace(/\s+/g, ' ')}`));
      }
      console.log(JSON.stringify({
        from: session.envelope.mailFrom.address,
        to,
        subject: mail.subject,
        text: mail.text ?? '',
        html: mail.html || '',
        headers: mail.headerLines.map((h) => h.line),
        secure: session.secure,
        user: session.user || '',
        helo: session.hostNameAppearsAs,
        session: session.id,
        transaction: session.transaction,
      }));
      done();
    }, done);
  },
});

server.on('error', () => {}); // of connections: who connects knows
server.listen(config.port ?? 0, config.address ?? '127.0.0.1', () => console.log(JSON.stringify({ port: server.server.address().port })));

// Ends with whoever started it.
createInterface({ input: process.stdin }).on('close', () => process.exit(0));
