// The language of the page, and how it writes dates, money and numbers.
import { batch, effect, signal } from "@preact/signals";
import { count } from "./count";
import { keep, kept } from "./store";

export { count };

export const LANGUAGES = { ko: "한국어", en: "English" } as const;
export type Language = keyof typeof LANGUAGES;

function wanted(): Language {
  const chosen = kept<string>("language");
  const tongues = [...(chosen ? [chosen] : []), ...navigator.languages];
  const known = tongues.map((tongue) => tongue.slice(0, 2)).find((tongue) => tongue in LANGUAGES);
  return (known ?? "en") as Language;
}

/** The language in which the page is written now. */
export const language = signal<Language>(wanted());
effect(() => {
  document.documentElement.lang = language.value;
});

let load: (tongue: Language) => Promise<void> = async () => {};

/** Chooses a language, for the next visit, too. The page changes once its texts are there. */
export async function speak(tongue: Language): Promise<void> {
  keep("language", tongue);
  await load(tongue);
}

/**
 * Returns a page's texts, of which a reader loads one language: `value` is them once `ready` is done, and other texts after the reader chose
 * another language.
 */
export function openTexts<T>(texts: Record<Language, () => Promise<T>>): { t: { readonly value: T }; ready: Promise<void> } {
  const own = signal<T | null>(null);
  load = async (tongue) => {
    const words = await texts[tongue]();
    batch(() => {
      own.value = words;
      language.value = tongue;
    });
  };
  const t = {
    get value(): T {
      return own.value as T;
    },
  };
  return { t, ready: load(language.value) };
}

/** Returns what makes formats of a kind in the language of the page, each once: to make one takes longer than to use it. */
function formats<Options, Format>(Kind: new (tongue: string, options: Options) => Format): (options: Options) => Format {
  const made = new Map<string, Format>();
  return (options) => {
    const name = language.value + JSON.stringify(options);
    let format = made.get(name);
    if (!format) made.set(name, (format = new Kind(language.value, options)));
    return format;
  };
}
const dates = formats(Intl.DateTimeFormat as new (tongue: string, options: Intl.DateTimeFormatOptions) => Intl.DateTimeFormat);
const numbers = formats(Intl.NumberFormat as new (tongue: string, options: Intl.NumberFormatOptions) => Intl.NumberFormat);

/** Writes an amount in a currency's minor unit: `170,000원`, `₩170,000`. */
export function money(minor: number, currency: string): string {
  if (currency === "KRW" && language.value === "ko") return `${count(minor)}원`;
  const format = numbers({ style: "currency", currency });
  return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** The instants of a show are those of its venue. */
export type Zone = string | undefined;

/** `12월 30일 (수)`, `Wed, Dec 30`. */
export function day(at: string | number, timeZone: Zone): string {
  return dates({ month: "short", day: "numeric", weekday: "short", timeZone }).format(new Date(at));
}

/** `2026년 12월 30일 (수)`. */
export function fullDay(at: string | number, timeZone: Zone): string {
  const whole = dates({ year: "numeric", month: "long", day: "numeric", timeZone }).format(new Date(at));
  // A month stays with its day, and a day with its weekday; in Korean the year comes before them, and stays, too.
  if (language.value === "ko") return `${whole} (${weekday(at, timeZone)})`.replaceAll(" ", "\u00a0");
  return `${weekday(at, timeZone)}, ${whole}`.replace(/ (?=\d{1,2},)/g, "\u00a0");
}

export function month(at: string | number, timeZone: Zone): string {
  return dates({ year: "numeric", month: "long", timeZone }).format(new Date(at));
}

export function dayOfMonth(at: string | number, timeZone: Zone): string {
  return dates({ day: "numeric", timeZone }).formatToParts(new Date(at)).find((part) => part.type === "day")?.value ?? "";
}

export function weekday(at: string | number, timeZone: Zone): string {
  return dates({ weekday: "short", timeZone }).format(new Date(at));
}

/** `19:30`. */
export function time(at: string | number, timeZone: Zone): string {
  return dates({ hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone }).format(new Date(at));
}

/** `4:05`, `1:04:05`. */
export function clock(seconds: number): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
