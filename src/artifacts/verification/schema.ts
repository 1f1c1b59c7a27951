/** The schemas of what signatures are over and beside: cosign's simple signing, in-toto statements, rekor's bundles. */
import { array, looseObject, number, string } from 'zod/mini';

export const payloadSchema = looseObject({
  critical: looseObject({ image: looseObject({ 'docker-manifest-digest': string() }), type: string() }),
});

export const rekorBundle = looseObject({
  SignedEntryTimestamp: string(),
  Payload: looseObject({ body: string(), integratedTime: number(), logIndex: number(), logID: string() }),
});

export const statementSchema = looseObject({
  subject: array(looseObject({ digest: looseObject({ sha256: string() }) })),
});

export const envelopeSchema = looseObject({ dsseEnvelope: looseObject({ payload: string() }) });
