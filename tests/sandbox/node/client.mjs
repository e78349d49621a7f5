// What the scripts beside this one share. Each takes the sandbox's address and a NIP, and prints what it saw as JSON.
import { CertificateService, KSeFClient } from 'ksef-client-ts';

export const [baseUrl, nip, keys] = process.argv.slice(2);

export const connect = () => new KSeFClient({ baseUrl });

/** A client that signed in for its own company with a seal that the client made itself. */
export async function signedIn(company = nip) {
  const seal = await CertificateService.generateCompanySeal('Sandbox sp. z o.o.', `VATPL-${company}`, 'Sandbox', keys);
  const client = connect();
  await client.loginWithCertificate(seal.certificatePem, seal.privateKeyPem, company);
  return client;
}

/** Enrollment data, key and CSR by the client's own means, as the body of a request. */
export async function prepare(client, certificateType) {
  const { countryName: countryCode, ...data } = await client.certificates.getEnrollmentData();
  const subject = { ...data, countryCode };
  const made = await (keys === 'RSA' ? client.crypto.generateCsrRsa(subject) : client.crypto.generateCsrEcdsa(subject));
  const csr = Buffer.from(made.csrDer).toString('base64');
  const body = { certificateName: `Independent ${certificateType}`, certificateType, csr };
  return { privateKeyPem: made.privateKeyPem, body };
}

/** What the client throws, as far as it understood it. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return { name: error.constructor.name, message: error.message, errors: error.errors };
  }
  return null;
}

export const print = (seen) => console.log(JSON.stringify(seen));
