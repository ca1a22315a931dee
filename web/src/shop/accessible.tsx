// Seats for visitors with a disability and those who come with them: shown and sold to whoever turns them on, and asked no question.
import type { Signal } from "@preact/signals";
import { announce } from "../base/live";
import { FREE, type Seats } from "../map/feed";
import { MARK } from "../map/plan";
import { t } from "./texts";

/** The marks of these seats. */
export const KEPT = MARK.accessible | MARK.companion;

export const isKept = ({ plan }: Seats, seat: number): boolean => (plan.marks[seat]! & KEPT) !== 0;

/** How many of them are free; null where a hall has none. */
function freeOf(seats: Seats): number | null {
  void seats.version.value;
  const { plan, status } = seats;
  let [all, free] = [0, 0];
  for (let seat = 0; seat < plan.count; seat++) {
    if (!isKept(seats, seat)) continue;
    all += 1;
    if (status[seat] === FREE) free += 1;
  }
  return all > 0 ? free : null;
}

export function AccessibleSwitch(props: { seats: Seats; isOn: Signal<boolean>; onChange: () => void }) {
  const { isOn } = props;
  const free = freeOf(props.seats);
  if (free === null) return null;
  return (
    <label class="switch">
      <input
        type="checkbox"
        role="switch"
        id="accessible"
        checked={isOn.value}
        onChange={() => {
          isOn.value = !isOn.value;
          props.onChange();
          announce(isOn.value ? t.value.accessibleOn(free) : t.value.accessibleOff);
        }}
      />
      <span>
        <b>{t.value.accessible}</b>
        <span class="soft small">{t.value.accessibleHint(free)}</span>
      </span>
    </label>
  );
}
