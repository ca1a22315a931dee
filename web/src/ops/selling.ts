// How a sale sells, and the counter: what `later.tsx` loads.
//
// It names the page that loads it, so that all else stays one script: in pieces it compresses worse.
import "./main";
export { AccessPart } from "./access";
export { CounterPage, CounterPart } from "./counter";
