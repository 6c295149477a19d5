import { inngest } from "../client";
import { moving } from "../config";
import { preset } from "some-package";

export function make(client: Client) {
  return client.createFunction({ id: "whose" }, { event: "a/b" }, async () => {});
}
export const a = inngest.createFunction(moving, { event: "a/b" }, async () => {});
export const b = inngest.createFunction(
  { id: "preset", ...preset() },
  { event: "a/b" },
  async ({ step }) => {
    const method = pick();
    await step[method]("x");
    keep = step;
  },
);
export const c = inngest.createFunction({ id: "far" }, { event: "a/b" }, preset.handler);
