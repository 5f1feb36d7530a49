// The other side of consortium/tests/oprf_noble.rs: ristretto255-SHA512 in verifiable mode (RFC 9497) by @noble/curves,
// out of the folder that is named; a JSON object a line in and out, bytes as hex.
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const file = resolve(process.argv[2], 'node_modules/@noble/curves/ed25519.js');
const { voprf } = (await import(pathToFileURL(file))).ristretto255_oprf;
const bytes = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const hex = (bytes) => Buffer.from(bytes).toString('hex');

const acts = {
  blind: ({ inputs }) => ({
    items: inputs.map((input) => {
      const { blind, blinded } = voprf.blind(bytes(input));
      return { input, blind: hex(blind), blinded: hex(blinded) };
    }),
  }),
  evaluate: ({ seed, info, blinded }) => {
    const { secretKey, publicKey } = voprf.deriveKeyPair(bytes(seed), bytes(info));
    const { evaluated, proof } = voprf.blindEvaluateBatch(secretKey, publicKey, blinded.map(bytes));
    return { public: hex(publicKey), evaluated: evaluated.map(hex), proof: hex(proof) };
  },
  finalize: ({ items, public: key, proof }) => {
    const asBytes = (item) => Object.fromEntries(Object.entries(item).map(([name, text]) => [name, bytes(text)]));
    return { outputs: voprf.finalizeBatch(items.map(asBytes), bytes(key), bytes(proof)).map(hex) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    console.log(JSON.stringify(acts[asked.act](asked)));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
