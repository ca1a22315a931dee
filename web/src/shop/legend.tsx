// The grades: their colours, prices and free places; a click shows one alone.
import { type Signal, useComputed } from "@preact/signals";
import { count } from "../base/language";
import { Notice } from "../base/ui";
import { FREE, type Seats } from "../map/feed";
import { Swatch } from "./show";
import { t } from "./texts";

export function Legend(props: {
  seats: Seats;
  colours: string[];
  prices: number[];
  price: (minor: number) => string;
  grade: Signal<number | null>;
  /** Whether a grade is sold now. */
  isSold: (grade: string) => boolean;
}) {
  const { seats, grade } = props;
  const free = useComputed(() => {
    void seats.version.value;
    const { plan, status, areas } = seats;
    const counts = plan.grades.map((name) =>
      areas.value.reduce((sum, area) => sum + (area.grade === name ? area.available : 0), 0),
    );
    for (let seat = 0; seat < plan.count; seat++) if (status[seat] === FREE) counts[plan.grade[seat]!]! += 1;
    return counts;
  });
  const line = (index: number | null, name: string, price: string, left: string) => (
    <label key={name} class="grade">
      <input type="radio" name="grade" checked={grade.value === index} onChange={() => (grade.value = index)} />
      {index !== null && <Swatch colour={props.colours[index] ?? ""} />}
      <span class="grade-name">{name}</span> <span class="grade-price">{price}</span> <span class="grade-left soft">{left}</span>
    </label>
  );
  const sum = free.value.reduce((sum, number) => sum + number, 0);
  return (
    <fieldset class="grades">
      <legend>{t.value.grades}</legend>
      {sum === 0 && <Notice kind="note">{t.value.allGone}</Notice>}
      {line(null, t.value.allGrades, "", t.value.left(count(sum)))}
      {seats.plan.grades.map((name, index) =>
        line(
          index,
          name,
          props.price(props.prices[index] ?? 0),
          props.isSold(name) ? t.value.left(count(free.value[index] ?? 0)) : t.value.later,
        ),
      )}
    </fieldset>
  );
}
