// What a hold, an exchange or an order asks for, as the API takes it.
/** Places of an area, of one price type. */
export interface AreaPlaces {
  areaId: string;
  count: number;
  priceType: string | null;
}

/** Chosen seats and places. */
export interface Chosen {
  seats: { seatId: string; priceType: string | null }[];
  areas: AreaPlaces[];
}

/** The best places that are left. `counts` is by price type: one of "" where there are none. */
export interface BestWish {
  grade: string | null;
  counts: Record<string, number>;
}

export interface With {
  /** Whether accessible and companion seats may be among them. */
  accessible: boolean;
  code: string;
}

/** What the API is told of it, by a hold and by an exchange. */
export interface Body {
  seats?: (string | { seatId: string; priceType: string })[];
  areas?: { areaId: string; count: number; priceType?: string }[];
  bestAvailable?: { count: number; grade?: string; priceTypes?: Record<string, number>; accessible?: true };
  accessible?: true;
  code?: string;
}

const isBest = (wish: Chosen | BestWish): wish is BestWish => "counts" in wish;

/** How many places are asked for. */
export const countOf = (wish: Chosen | BestWish): number =>
  isBest(wish)
    ? Object.values(wish.counts).reduce((sum, count) => sum + count, 0)
    : wish.seats.length + wish.areas.reduce((sum, { count }) => sum + count, 0);

/** Writes a wish. It says nothing of what its show doesn't use. */
export function bodyOf(wish: Chosen | BestWish, { accessible, code }: With): Body {
  const more: Body = { ...(accessible && { accessible }), ...(code && { code }) };
  if (isBest(wish)) {
    const types = Object.entries(wish.counts).filter(([type, count]) => type && count > 0);
    const best = {
      count: countOf(wish),
      ...(wish.grade !== null && { grade: wish.grade }),
      ...(types.length > 0 && { priceTypes: Object.fromEntries(types) }),
      ...(accessible && { accessible }),
    };
    return { bestAvailable: best, ...more };
  }

  const seats = wish.seats.map(({ seatId, priceType }) => (priceType === null ? seatId : { seatId, priceType }));
  const areas = wish.areas
    .filter(({ count }) => count > 0)
    .map(({ areaId, count, priceType }) => ({ areaId, count, ...(priceType !== null && { priceType }) }));
  return {
    ...(seats.length > 0 && { seats }),
    ...(areas.length > 0 && { areas }),
    ...more,
  };
}
