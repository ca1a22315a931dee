// What a reservation costs, line by line: seats, places, fees, and what is taken off.
import { money } from "./language";
import type { Line } from "./prices";

export interface LineTexts {
  times: (name: string, count: number) => string;
  discount: (name: string) => string;
}

export function Lines(props: { lines: Line[]; currency: string; texts: LineTexts }) {
  const { times, discount } = props.texts;
  return (
    <ul class="lines">
      {props.lines.map(({ kind, name, count, amount }, place) => (
        <li key={place} class={kind}>
          <span>{times(kind === "discount" ? discount(name) : name, count)}</span>
          <span>{money(amount, props.currency)}</span>
        </li>
      ))}
    </ul>
  );
}
