// The language of the page, and how it writes dates, money and numbers.
import { batch, effect, signal } from "@preact/signals";
import { keep, kept } from "./store";

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

const formats = new Map<string, Intl.DateTimeFormat | Intl.NumberFormat>();

function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = language.value + JSON.stringify(options);
  let format = formats.get(name);
  if (!format) formats.set(name, (format = new Intl.DateTimeFormat(language.value, options)));
  return format as Intl.DateTimeFormat;
}

function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = language.value + JSON.stringify(options);
  let format = formats.get(name);
  if (!format) formats.set(name, (format = new Intl.NumberFormat(language.value, options)));
  return format as Intl.NumberFormat;
}

/** Writes an amount in a currency's minor unit: `170,000원`, `₩170,000`. */
export function money(minor: number, currency: string): string {
  if (currency === "KRW" && language.value === "ko") return `${count(minor)}원`;
  const format = numbers({ style: "currency", currency });
  return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

export function count(number: number): string {
  return numbers({}).format(number);
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
  const text = language.value === "ko" ? `${whole} (${weekday(at, timeZone)})` : `${weekday(at, timeZone)}, ${whole}`;
  // A month stays with its day, and a day with its weekday.
  return text.replace(/ (?=\d{1,2}[일,]|\()/g, "\u00a0");
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
