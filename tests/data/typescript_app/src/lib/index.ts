export * from "../client";
export { inngest as renamed } from "../client";
