// The best that are left, in one step.
import { useSignal } from "@preact/signals";
import { count } from "../base/language";
import { linesOf, type Off, type Priced, sumOf, typesFor } from "../base/prices";
import { Button } from "../base/ui";
import { type BestWish, countOf } from "../base/wish";
import { Stepper } from "./stepper";
import { t } from "./texts";

export function Best(props: {
  show: Priced;
  /** The grade that is asked for; null for the best of all. */
  grade: string | null;
  most: number;
  /** What a code takes off, where it is known. */
  off: Off | null;
  price: (minor: number) => string;
  accessible: boolean;
  busy: boolean;
  onHold: (wish: BestWish) => void;
}) {
  const { grade, most } = props;
  const counts = useSignal<Record<string, number> | null>(null);
  const types = typesFor(props.show, grade);
  const names = types.length > 0 ? types.map(({ priceType }) => priceType) : [""];
  // Of another grade only what is sold in it counts.
  const own = Object.fromEntries(names.map((name, index) => [name, counts.value?.[name] ?? (counts.value || index > 0 ? 0 : Math.min(2, most))]));
  const sum = Math.min(most, countOf({ grade, counts: own }));
  if (names.length === 1) own[names[0]!] = sum;
  // Of any grade nobody knows what the best are, nor what they cost.
  const lines = grade === null || sum === 0 ? null : linesOf(props.show, Object.entries(own).map(([type, count]) => ({ grade, priceType: type || null, count })), props.off);
  const set = (name: string, value: number) => (counts.value = { ...own, [name]: value });

  return (
    <section class="best" aria-labelledby="best">
      <h2 id="best">{props.accessible ? t.value.bestAccessible : t.value.bestTitle}</h2>
      <div class={types.length > 0 ? "best-line by-type" : "best-line"}>
        {types.length > 0 ? (
          types.map(({ priceType, name, note }) => (
            <div class="area-type" key={priceType}>
              <span>
                {name} {note && <span class="soft small">{note}</span>}
              </span>
              <Stepper
                value={own[priceType]!}
                least={0}
                most={own[priceType]! + Math.max(0, most - sum)}
                label={name}
                fewer={t.value.onePlaceFewer(name)}
                more={t.value.onePlaceMore(name)}
                text={count(own[priceType]!)}
                onChange={(value) => set(priceType, value)}
              />
            </div>
          ))
        ) : (
          <Stepper
            value={sum}
            least={1}
            most={most}
            label={t.value.howMany}
            fewer={t.value.fewer}
            more={t.value.more}
            text={t.value.seats(sum)}
            onChange={(value) => set("", value)}
          />
        )}
        <Button
          look="main"
          busy={props.busy}
          disabled={sum === 0}
          onClick={() => props.onHold({ grade, counts: own })}
          id="best-hold"
        >
          {t.value.takeBest(sum, grade)} {lines && `· ${props.price(sumOf(lines))}`}
        </Button>
      </div>
    </section>
  );
}
