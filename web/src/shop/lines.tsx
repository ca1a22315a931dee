// What a reservation costs, line by line: seats, places, fees, and what is taken off.
import type { Schemas } from "../base/api";
import { money } from "../base/language";
import { t } from "./texts";

export function Lines(props: { lines: Schemas["Line"][]; currency: string }) {
  return (
    <ul class="lines">
      {props.lines.map(({ kind, name, count, amount }, place) => (
        <li key={place} class={kind}>
          <span>{t.value.times(kind === "discount" ? t.value.discount(name) : name, count)}</span>
          <span>{money(amount, props.currency)}</span>
        </li>
      ))}
    </ul>
  );
}
