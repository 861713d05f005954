// A judge for ef: does the output mention the reference?
//
// It speaks the plugin protocol: JSON-RPC 2.0, one message a line, on standard input and output. Print nothing else there;
// standard error is free.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

export const mentions = {
  id: "{{module}}.mentions",
  // Change it whenever the same output may get another score.
  version: "0.1.0",
  determinism: "deterministic",
  summary: "Whether the output mentions the reference",
  config_schema: {
    type: "object",
    properties: { ignore_case: { type: "boolean", default: true } },
    additionalProperties: false,
  },
};

/** One judgment: a score and a rationale. Without a reference there is nothing to score. It may be async. */
export function judge({ ignore_case = true }, item, output) {
  if (item.reference_output == null) return { score: null };
  let [wanted, text] = [item.reference_output, output.output].map(textOf);
  if (ignore_case) [wanted, text] = [wanted.toLowerCase(), text.toLowerCase()];
  return { score: text.includes(wanted), rationale: `looked for ${JSON.stringify(wanted)}` };
}

const textOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** An error with `kind` ("transient", "permanent", ...) and perhaps `retryAfterMs` tells ef what to do next. */
const errorOf = (problem) => ({
  code: problem.rpcCode ?? -32000,
  message: String(problem.message),
  data: { kind: problem.kind ?? "permanent", retry_after_ms: problem.retryAfterMs, detail: { stack: problem.stack } },
});

const configs = new Map();

const methods = {
  initialize: () => ({
    protocol_version: 1,
    plugin: { name: "{{name}}", version: mentions.version },
    evaluators: [],
    judges: [mentions],
  }),
  create({ instance, config }) {
    configs.set(instance, config);
    return {};
  },
  judge({ instance, item, output }) {
    return judge(configs.get(instance), item, output);
  },
  shutdown: () => null,
};

async function answer(line) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return; // a notification, such as `cancel`
  let body;
  try {
    if (!Object.hasOwn(methods, method)) {
      throw Object.assign(new Error("there is no method of that name"), { rpcCode: -32601 });
    }
    body = { result: await methods[method](params) };
  } catch (problem) {
    body = { error: errorOf(problem) };
  }
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", answer);
}
