// What places cost: whom prices are for, and what is added. The reservation's lines say what it is in the end.
import type { Concert, Schemas } from "../base/api";

/** Whom a price is for. */
export type PriceType = Schemas["PriceType"];

/** What a show says of prices. */
export type Priced = Pick<Concert, "grades" | "priceTypes" | "fees">;

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
  return all.filter(({ priceType }) => grades.some((known) => priceOf(show, known, priceType) !== null));
}

/** What is added for a number of places. */
export function feesFor({ fees = [] }: Priced, places: number): { name: string; amount: number }[] {
  if (places === 0) return [];
  return fees.map(({ name, amount, per }) => ({ name, amount: per === "seat" ? amount * places : amount }));
}
