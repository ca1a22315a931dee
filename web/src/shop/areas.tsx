// Places without numbers, beside the numbered seats: how many are left, and how many the reader takes.
import type { Schemas } from "../base/api";
import { count } from "../base/language";
import { priceOf, type Priced, type PriceType, typesFor } from "../base/prices";
import type { AreaPlaces } from "../base/wish";
import type { Seats } from "../map/feed";
import { Stepper } from "./stepper";
import { Swatch } from "./show";
import { t } from "./texts";

type MapArea = Schemas["MapArea"];

/** How many places of an area are chosen, of a type or in all. */
export function chosenOf(places: AreaPlaces[], areaId: string, priceType?: string | null): number {
  const own = places.filter((chosen) => chosen.areaId === areaId && (priceType === undefined || chosen.priceType === priceType));
  return own.reduce((sum, chosen) => sum + chosen.count, 0);
}

/** The name of places in a choice: the area's, and the price type's where there are some. */
export function placesName(seats: Seats, show: Priced, { areaId, priceType }: AreaPlaces): string {
  const area = seats.areas.value.find((known) => known.areaId === areaId);
  const type = show.priceTypes?.find((known) => known.priceType === priceType);
  return [area?.name ?? areaId, type?.name].filter(Boolean).join(" · ");
}

/** Takes away the places that an area hasn't left any more, of its last types first. */
export function within(places: AreaPlaces[], areaId: string, left: number): AreaPlaces[] {
  let room = left;
  return places.map((chosen) => {
    if (chosen.areaId !== areaId) return chosen;
    const count = Math.min(chosen.count, room);
    room -= count;
    return { ...chosen, count };
  });
}

export function Areas(props: {
  seats: Seats;
  show: Priced;
  colours: string[];
  price: (minor: number) => string;
  places: AreaPlaces[];
  /** How many more places the reader may take. */
  room: number;
  /** The places that the reader holds already, which are as good as free. */
  own: AreaPlaces[];
  /** Whether a grade is sold now. */
  isSold: (grade: string) => boolean;
  onChange: (places: AreaPlaces[]) => void;
}) {
  const { seats, show, places } = props;
  if (seats.areas.value.length === 0) return null;

  const set = (areaId: string, priceType: string | null, count: number) => {
    const others = places.filter((chosen) => chosen.areaId !== areaId || chosen.priceType !== priceType);
    props.onChange(count > 0 ? [...others, { areaId, priceType, count }] : others);
  };
  const stepper = (area: MapArea, type: PriceType | null, place: number) => {
    const priceType = type?.priceType ?? null;
    const own = chosenOf(places, area.areaId, priceType);
    const left = area.available + chosenOf(props.own, area.areaId) - chosenOf(places, area.areaId);
    const name = [area.name, type?.name].filter(Boolean).join(" · ");
    return (
      <div class="area-type" key={priceType}>
        <span>
          {type?.name} <span class="soft">{props.price(priceOf(show, area.grade, priceType) ?? 0)}</span>
        </span>
        <Stepper
          value={own}
          least={0}
          most={own + Math.max(0, Math.min(left, props.room))}
          label={name}
          fewer={t.value.onePlaceFewer(name)}
          more={t.value.onePlaceMore(name)}
          text={count(own)}
          onChange={(count) => set(area.areaId, priceType, count)}
          id={`area-${seats.areas.value.indexOf(area)}-${place}`}
        />
      </div>
    );
  };

  return (
    <section class="areas" aria-labelledby="areas">
      <h2 id="areas">{t.value.areas}</h2>
      <ul>
        {seats.areas.value.map((area) => {
          const types = typesFor(show, area.grade);
          const left = area.available + chosenOf(props.own, area.areaId);
          return (
            <li key={area.areaId}>
              <p class="area-name">
                <Swatch colour={props.colours[seats.plan.grades.indexOf(area.grade)] ?? ""} /> <b>{area.name}</b>{" "}
                <span class="soft">{left > 0 ? t.value.placesLeft(left) : t.value.soldOut}</span>
              </p>
              {!props.isSold(area.grade) ? (
                <p class="soft small">{t.value.notInPhase}</p>
              ) : (
                (types.length > 0 ? types : [null]).map((type, place) => stepper(area, type, place))
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
