import { inngest } from "@/client";

const { createFunction } = inngest;
export const View = () => <p title="step.run()">{"createFunction(step.run)"}</p>;

export const render = createFunction(
  { id: "render", batchEvents: { maxSize: 10, timeout: "5s" } },
  { event: "page/changed" },
  handler,
);

async function handler({ step, ...rest }: Context) {
  const html = await step.run("render", async () => <View />);
  const step2 = rest.step;
  return html;
}
