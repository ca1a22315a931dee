// The grades' colours, as loud as a page can bear: what an administrator chose, mixed with some grey, so that the accent stays the loudest.

const GREY = [0x76, 0x72, 0x6a];
const PART = 0.38;

/** Returns a calmer colour for `#rrggbb`; any other text as it is. */
export function calm(colour: string | null | undefined): string {
  const [, hex] = /^#([0-9a-f]{6})$/i.exec(colour ?? "") ?? [];
  if (!hex) return colour ?? "#76726a";
  const parts = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const mixed = parts.map((part, index) => Math.round(part * (1 - PART) + (GREY[index] as number) * PART));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
