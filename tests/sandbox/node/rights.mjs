// KSeF tokens, permissions, limits and refusals by `ksef-client-ts`, unchanged.
import { EntityPermissionGrantBuilder } from 'ksef-client-ts';
import { connect, nip, prepare, print, refusal, signedIn } from './client.mjs';

const OFFICE = '7762811692';
const client = await signedIn();

const made = await client.tokens.generateToken({ description: 'Token testowy', permissions: ['InvoiceRead'] });
const byToken = connect();
await byToken.loginWithToken(made.token, nip);
const { tokens } = await byToken.tokens.queryTokens();
await client.tokens.revokeToken(made.referenceNumber);
const afterRevocation = await refusal(connect().loginWithToken(made.token, nip));

const grant = new EntityPermissionGrantBuilder()
  .withNip(OFFICE).addPermission('InvoiceRead', true).withDescription('Obsługa faktur')
  .withSubjectDetails({ fullName: 'Biuro Rachunkowe sp. z o.o.' }).build();
const operation = await client.permissions.grantEntityPermissions(grant);
const granted = await client.permissions.getOperationStatus(operation.referenceNumber);
const office = await signedIn(OFFICE);
const received = await office.permissions.queryEntitiesGrants();

await client.testData.changeCertificatesLimit({ enrollment: { maxEnrollments: 0 } });
const limits = await client.certificates.getLimits();
const subject = await client.limits.getSubjectLimits();
const { body } = await prepare(client, 'Offline');
const refused = await refusal(client.certificates.enroll(body));

const refreshToken = client.authManager.getRefreshToken();
const refreshed = await client.auth.refreshAccessToken(refreshToken);
await client.activeSessions.revokeCurrentSession();
const afterLogout = await refusal(client.auth.refreshAccessToken(refreshToken));

print({
  tokens, afterRevocation, granted: granted.status.code, received: received.permissions, limits, subject, refused,
  refreshed, afterLogout,
});
