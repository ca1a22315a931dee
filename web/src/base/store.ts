// What this browser keeps: texts of JSON under names that begin with `onsale.`. Where nothing can be kept (a private window may refuse), a page
// works until it is left.
const unkept = new Map<string, string>();

/** Keeps a text. */
export function keepText(name: string, text: string): void {
  try {
    localStorage.setItem(`onsale.${name}`, text);
  } catch {
    unkept.set(name, text);
  }
}

/** Returns the text that was kept, or null. */
export function keptText(name: string): string | null {
  try {
    return localStorage.getItem(`onsale.${name}`) ?? unkept.get(name) ?? null;
  } catch {
    return unkept.get(name) ?? null;
  }
}

export function forget(name: string): void {
  unkept.delete(name);
  try {
    localStorage.removeItem(`onsale.${name}`);
  } catch {
    // Nothing was kept.
  }
}

/** Keeps a value; null forgets it. */
export function keep(name: string, value: unknown): void {
  if (value === null) forget(name);
  else keepText(name, JSON.stringify(value));
}

/** Returns what was kept, or null. */
export function kept<T>(name: string): T | null {
  try {
    return JSON.parse(keptText(name) ?? "null") as T | null;
  } catch {
    return null;
  }
}

/** The names that are kept and begin so. */
export function names(beginning: string): string[] {
  try {
    const all = Object.keys(localStorage).filter((name) => name.startsWith(`onsale.${beginning}`));
    return all.map((name) => name.slice("onsale.".length));
  } catch {
    return [];
  }
}
