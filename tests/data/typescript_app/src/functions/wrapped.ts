import inngest from "../client.js";
import * as help from "./helpers";
import { audit } from "./helpers";
import { elsewhere } from "some-package";

function job(id: string, { event, limit }: Options, handler: Handler) {
  return inngest.createFunction(
    { id, throttle: { limit, period: "60s" }, retries: 0 },
    { event },
    async (ctx) => {
      const step = ctx.step;
      await step.run("begin", () => {});
      await handler(ctx);
    },
  );
}

export const first = job("first", { event: "job/first", limit: 3 }, async ({ step }) => {
  await audit(step, "a");
  await audit(step, "b");
});
export const second = job("second", { event: "job/second", limit: 5 }, async (c) => {
  await c.step.waitForEvent("answer", { event: "job/answer", timeout: "1m" });
  await elsewhere(c.step);
});
export const third = inngest.createFunction(
  { id: "third", triggers: { event: "job/third" }, singleton: { mode: "skip", key: "1" } },
  help.logged(async ({ step }) => {
    await step.ai.infer("think", {});
    await step?.sleepUntil("noon", noon);
  }),
);
