// What places cost, before they are had: the lines that a reservation of them will have.
//
// Every figure is the API's (a grade's `price` and `prices`, `priceTypes`, `fees`, what a code takes off), and the lines are made as the API
// says that they are. The storefront and the counter show these and no others; a test holds them to the engine's own.
import type { Concert, Schemas } from "./api";

/** Whom a price is for. */
export type PriceType = Schemas["PriceType"];
export type Line = Schemas["Line"];

/** What a show says of prices; with a code that is for some types only these. */
export type Priced = Pick<Concert, "grades" | "priceTypes" | "fees"> & { only?: string[] | null | undefined };

/** Places of one grade and price type (null: the show's first): numbered seats, or places of an area. */
export interface Priceable {
  area?: string;
  grade: string;
  priceType: string | null;
  count: number;
}

/** A code, and what it takes off each place. */
export interface Off {
  code: string;
  discount: Schemas["Discount"];
}

/** The price of a place; null where a type isn't sold in its grade. The first type costs the grade's `price`. */
export function priceOf({ grades, priceTypes }: Priced, grade: string, priceType?: string | null): number | null {
  const own = grades.find((known) => known.grade === grade);
  if (!own) return 0;
  const isDefault = priceType == null || priceType === priceTypes?.[0]?.priceType;
  return isDefault ? own.price : (own.prices?.[priceType] ?? null);
}

/** The types that are sold in a grade, or in any; none where a price is for everyone. */
export function typesFor(show: Priced, grade: string | null): PriceType[] {
  const all = show.priceTypes ?? [];
  const grades = grade === null ? show.grades.map((known) => known.grade) : [grade];
  const { only } = show;
  return all.filter(({ priceType }) => (!only || only.includes(priceType)) && grades.some((known) => priceOf(show, known, priceType) !== null));
}

/** What is taken off a place: hundredths are rounded half up, and nothing costs less than nothing. */
const offOf = ({ percent, amountPerSeat }: Off["discount"], price: number): number =>
  percent != null ? Math.floor((price * percent * 2 + 100) / 200) : Math.min(price, amountPerSeat ?? 0);

const line = (kind: Line["kind"], name: string, count: number, unitAmount: number): Line => ({
  kind,
  name,
  count,
  unitAmount,
  amount: count * unitAmount,
});

/**
 * The lines of a reservation: seats, places of areas, fees, and what is taken off. Places that have grade, type and area in common are one line,
 * where the first of them comes. Null where a type isn't sold in a grade.
 */
export function linesOf(show: Priced, places: Priceable[], off?: Off | null): Line[] | null {
  const groups: Priceable[] = [];
  const first = show.priceTypes?.[0]?.priceType ?? null;
  for (const { priceType, ...place } of places) {
    const more = { ...place, priceType: priceType ?? first };
    const same = groups.find(({ area, grade, priceType }) => area === more.area && grade === more.grade && priceType === more.priceType);
    if (same) same.count += more.count;
    else if (more.count > 0) groups.push(more);
  }
  groups.sort((a, b) => Number(a.area !== undefined) - Number(b.area !== undefined));

  const lines: Line[] = [];
  const discounts: Line[] = [];
  for (const { area, grade, priceType, count } of groups) {
    const price = priceOf(show, grade, priceType);
    if (price === null) return null;
    const type = show.priceTypes?.find((known) => known.priceType === priceType);
    lines.push(line(area === undefined ? "seat" : "area", type ? `${grade} ${type.name}` : grade, count, price));
    const less = off ? offOf(off.discount, price) : 0;
    if (off && less > 0) discounts.push(line("discount", off.code, count, -less));
  }

  const all = lines.reduce((sum, { count }) => sum + count, 0);
  const fees = all > 0 ? (show.fees ?? []) : [];
  return [...lines, ...fees.map(({ name, amount, per }) => line("fee", name, per === "seat" ? all : 1, amount)), ...discounts];
}

export const sumOf = (lines: Line[]): number => lines.reduce((sum, { amount }) => sum + amount, 0);

/** Makes lines add up to another amount, by one more that says why: something taken off, or a fee. */
export function overridden(lines: Line[], amount: number, why: string): Line[] {
  const rest = amount - sumOf(lines);
  if (rest === 0) return lines;
  const isFee = ({ kind }: Line) => kind !== "discount";
  const more = line(rest < 0 ? "discount" : "fee", why, 1, rest);
  return [...lines.filter(isFee), ...(rest > 0 ? [more] : []), ...lines.filter((own) => !isFee(own)), ...(rest < 0 ? [more] : [])];
}
