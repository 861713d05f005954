import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { judge } from "../plugin.mjs";

const score = (config, reference, text) => judge(config, { reference_output: reference }, { output: text }).score;

test("an output that mentions the reference passes", () => {
  assert.equal(score({}, "Paris", "It is PARIS."), true);
  assert.equal(score({}, "Paris", "I do not know."), false);
  assert.equal(score({ ignore_case: false }, "Paris", "It is PARIS."), false);
});

test("without a reference there is no score", () => {
  assert.equal(score({}, null, "It is Paris."), null);
});

test("it speaks the protocol", async () => {
  const plugin = spawn(process.execPath, [fileURLToPath(new URL("../plugin.mjs", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const answers = createInterface({ input: plugin.stdout })[Symbol.asyncIterator]();
  const call = async (method, params) => {
    plugin.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })}\n`);
    return JSON.parse((await answers.next()).value);
  };
  const provided = await call("initialize", { protocol_version: 1 });
  assert.equal(provided.result.judges[0].id, "{{module}}.mentions");
  await call("create", { instance: 1, kind: "judge", id: "{{module}}.mentions", config: {} });
  const item = { item_id: "1", row: 0, input: "?", reference_output: "Paris" };
  const judged = await call("judge", { instance: 1, item, output: { output: "It is Paris." } });
  assert.equal(judged.result.score, true);
  assert.equal((await call("unknown", {})).error.code, -32601);
  assert.equal((await call("shutdown", {})).result, null);
  plugin.stdin.end();
});
