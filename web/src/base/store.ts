// What this browser keeps: texts of JSON under names that begin with `onsale.`. Where nothing can be kept (a private window may refuse), a page
// works until it is left.
const unkept = new Map<string, string>();

/** Keeps a value; null forgets it. */
export function keep(name: string, value: unknown): void {
  const text = JSON.stringify(value);
  try {
    if (value === null) localStorage.removeItem(`onsale.${name}`);
    else localStorage.setItem(`onsale.${name}`, text);
  } catch {
    unkept.set(name, text);
  }
}

/** Returns what was kept, or null. */
export function kept<T>(name: string): T | null {
  try {
    const text = localStorage.getItem(`onsale.${name}`) ?? unkept.get(name);
    return text ? (JSON.parse(text) as T) : null;
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
