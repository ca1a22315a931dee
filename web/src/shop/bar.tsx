// What is chosen, what it costs, and the step to hold it.
import { money } from "../base/language";
import { linesOf, type Off, type Priceable, priceOf, type Priced, sumOf, typesFor } from "../base/prices";
import { Button } from "../base/ui";
import { type AreaPlaces } from "../base/wish";
import { t } from "./texts";

/** A seat of a choice. */
export interface ChosenSeat {
  seat: number;
  name: string;
  grade: string;
  priceType: string | null;
}

interface BarProps {
  show: Priced & { currency: string };
  /** What a code takes off, where it is known. */
  off: Off | null;
  seats: ChosenSeat[];
  areas: AreaPlaces[];
  nameOfPlaces: (places: AreaPlaces) => string;
  gradeOfArea: (areaId: string) => string;
  busy: boolean;
  isChange: boolean;
  onDrop: (seat: number) => void;
  onDropPlaces: (places: AreaPlaces) => void;
  onType: (seat: number, priceType: string) => void;
  onHold: () => void;
}

export function Bar(props: BarProps) {
  const { show, seats, areas } = props;
  const wanted: Priceable[] = [
    ...seats.map(({ grade, priceType }) => ({ grade, priceType, count: 1 })),
    ...areas.map(({ areaId, priceType, count }) => ({ area: areaId, grade: props.gradeOfArea(areaId), priceType, count })),
  ];
  const places = wanted.reduce((sum, { count }) => sum + count, 0);
  if (places === 0) return null;

  const price = (minor: number) => money(minor, show.currency);
  const lines = linesOf(show, wanted, props.off) ?? [];
  const added = lines.filter(({ kind }) => kind === "fee");
  const less = lines.filter(({ kind }) => kind === "discount");
  const typed = seats.filter(({ grade }) => typesFor(show, grade).length > 1);

  return (
    <section class="bar" aria-labelledby="bar">
      <h2 id="bar" class="unseen">
        {t.value.yourSeats}
      </h2>
      {typed.length > 0 && <Types {...props} seats={typed} price={price} />}
      <ul class="chips">
        {seats
          .filter((seat) => !typed.includes(seat))
          .map(({ seat, name }) => (
            <Chip key={seat} name={name} onDrop={() => props.onDrop(seat)} />
          ))}
        {areas.map((places) => {
          const name = t.value.times(props.nameOfPlaces(places), places.count);
          return <Chip key={name} name={name} onDrop={() => props.onDropPlaces(places)} />;
        })}
      </ul>
      {added.length > 0 && (
        <p class="soft small">{t.value.withFees(added.map(({ name, amount }) => `${name} ${price(amount)}`).join(", "))}</p>
      )}
      {props.off && less.length > 0 && (
        <p class="small discount">
          {t.value.discount(props.off.code)} {price(sumOf(less))}
        </p>
      )}
      <div class="bar-line">
        <p>
          {areas.length > 0 ? t.value.places(places) : t.value.seats(places)} <strong>{price(sumOf(lines))}</strong>
        </p>
        <Button look="main" busy={props.busy} onClick={props.onHold} id="hold">
          {props.isChange ? t.value.exchange : areas.length > 0 ? t.value.holdPlaces : t.value.hold}
        </Button>
      </div>
    </section>
  );
}

function Chip(props: { name: string; onDrop: () => void }) {
  return (
    <li>
      <button type="button" onClick={props.onDrop} aria-label={t.value.drop(props.name)}>
        {props.name} <span aria-hidden="true">✕</span>
      </button>
    </li>
  );
}

/** Whom the price of each seat is for. */
function Types(props: BarProps & { price: (minor: number) => string }) {
  const { show, seats, price } = props;
  const used = (show.priceTypes ?? []).filter(({ priceType, note }) => note && seats.some((seat) => seat.priceType === priceType));
  return (
    <>
      <ul class="typed">
        {seats.map(({ seat, name, grade, priceType }) => (
          <li key={seat}>
            <span>{name}</span>
            <select
              aria-label={t.value.typeOf(name)}
              value={priceType ?? ""}
              onChange={(event) => props.onType(seat, event.currentTarget.value)}
            >
              {typesFor(show, grade).map((type) => (
                <option key={type.priceType} value={type.priceType}>
                  {type.name} {price(priceOf(show, grade, type.priceType) ?? 0)}
                </option>
              ))}
            </select>
            <button type="button" class="drop" onClick={() => props.onDrop(seat)} aria-label={t.value.drop(name)}>
              <span aria-hidden="true">✕</span>
            </button>
          </li>
        ))}
      </ul>
      {used.map(({ priceType, name, note }) => (
        <p key={priceType} class="soft small">
          {name}: {note}
        </p>
      ))}
    </>
  );
}
