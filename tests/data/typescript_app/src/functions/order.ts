import { renamed } from "@/lib";
import { CANCELLED, EVENTS, defaults } from "../config";

const config = {
  id: "order",
  ...defaults,
  retries: 3,
  cancelOn: [{ event: CANCELLED, if: "event.data.order == async.data.order" }],
  timeouts: { finish: "1h" },
  onFailure: async () => {},
} satisfies object;

/* await step.run("in a comment", () => 1); */
export const order = renamed.createFunction(
  config,
  [{ event: EVENTS.PAID }, { cron: "TZ=UTC 0 * * * *" }],
  async ({ event, step: durable, logger }) => {
    logger.info("await step.run('in a string')");
    const { run, sleep: nap } = durable;
    const order = await run("read", async () => ({ items: [1, 2] }));
    await nap("rest", "1h");
    for (const item of order.items) {
      await durable.run(`item-${item}`, async () => {
        await durable.run("nested", async () => item);
      });
    }
    await Promise.all([durable.run("left", l), durable.invoke("right", { function: f })]);
    const jobs = order.items.map((item) => durable.run(`job-${item}`, () => item));
    await Promise.allSettled(jobs);
    await durable.sendEvent("tell", [{ name: EVENTS.SHIPPED }, { name: `order/${event.name}` }]);
    // A name of its own: no durable call.
    order.items.map((durable) => durable.run("other"));
    {
      const nap = (id) => id;
      nap("not durable");
    }
  },
);
