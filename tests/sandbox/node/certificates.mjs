// The whole life of a pair of certificates by `ksef-client-ts`, unchanged: its seal, its signer, its CSRs, its models.
import { authenticateWithCertificate } from 'ksef-client-ts';
import { connect, nip, prepare, print, signedIn } from './client.mjs';

async function order(client, type) {
  const { privateKeyPem, body } = await prepare(client, type);
  const { referenceNumber } = await client.certificates.enroll(body);
  const { status, certificateSerialNumber } = await client.certificates.getEnrollmentStatus(referenceNumber);
  return { code: status.code, serial: certificateSerialNumber, privateKeyPem };
}

const client = await signedIn();
const before = await client.certificates.getLimits();
const pair = [await order(client, 'Authentication'), await order(client, 'Offline')];
const after = await client.certificates.getLimits();
const [authentication, offline] = pair;
const { certificates } = await client.certificates.retrieve({ certificateSerialNumbers: pair.map((it) => it.serial) });

const holder = connect();
const lines = certificates[0].certificate.match(/.{1,64}/g).join('\n');
const certPem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
const entered = await authenticateWithCertificate(holder, { nip, certPem, keyPem: authentication.privateKeyPem });
const { items: sessions } = await holder.activeSessions.getActiveSessions();
await holder.certificates.revoke(offline.serial, { revocationReason: 'Superseded' });
const revoked = await holder.certificates.query({ status: 'Revoked' });
const named = await holder.certificates.query({ name: 'Independent' }, 10, 0);

print({
  before, after, pair, certificates, entered, methods: sessions.map((it) => it.authenticationMethod),
  revoked: revoked.certificates, named: named.certificates,
});
