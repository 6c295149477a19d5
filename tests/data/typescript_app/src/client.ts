import { Inngest as Engine } from "inngest";

// inngest.createFunction({ id: "in-a-comment" }, { event: "x" }, async ({ step }) => {});
export const example = 'inngest.createFunction({ id: "in-a-string" }, { event: "x" }, async () => {})';

const engine = new Engine({ id: "shop" });
export { engine as inngest };
export default engine;
