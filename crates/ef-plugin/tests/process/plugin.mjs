// A judge in Node, with nothing but what Node brings along.
import { createInterface } from 'node:readline';

const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');

const methods = {
  initialize: () => ({
    protocol_version: 1,
    plugin: { name: 'node-toys', version: process.version },
    judges: [{ id: 'toy.length', version: '1.0.0', determinism: 'deterministic' }],
  }),
  create: () => null,
  judge: ({ output }) => {
    if (typeof output.output !== 'string') throw new TypeError('not a text');
    return { score: output.output.length, rationale: 'counted' };
  },
  shutdown: () => null,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  try {
    say({ id, result: methods[method](params) });
  } catch (error) {
    say({ id, error: { code: -32000, message: String(error), data: { kind: 'permanent', code: 'type_error' } } });
  }
}
