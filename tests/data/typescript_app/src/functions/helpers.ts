export async function audit(step: Steps, what: string) {
  await step.run(`audit-${what}`, async () => what);
  await nested({ step, what });
}

export const nested = async ({ step: { sendEvent }, what }) => {
  await sendEvent("audited", { name: "audit/done", data: { what } });
};

export const logged = (handler) => async (ctx) => {
  await ctx.step.run("log", async () => {});
  return handler(ctx);
};
