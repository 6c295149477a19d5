export const EVENTS = { PAID: "order/paid", SHIPPED: `order/shipped` } as const;
const PREFIX = "order";
export const CANCELLED = PREFIX + "/cancelled";
export const defaults = { retries: 2, concurrency: { limit: 1, key: "event.data.order" } };
export let moving = { retries: 9 };
