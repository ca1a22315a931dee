// The page's own addresses: links change the path without a new page.
import { signal } from "@preact/signals";

export interface Location {
  path: string;
  query: URLSearchParams;
}

const read = (): Location => ({ path: location.pathname, query: new URLSearchParams(location.search) });

/** Where the reader is. */
export const here = signal<Location>(read());
addEventListener("popstate", () => (here.value = read()));

/** Whether the reader has come to another place since the page was loaded: then focus goes to its heading. */
export let hasMoved = false;

/** Goes to an address of this page. */
export function go(href: string, options: { replace?: boolean } = {}): void {
  const target = new URL(href, location.href);
  history[options.replace ? "replaceState" : "pushState"](null, "", target);
  hasMoved = true;
  here.value = read();
  if (!options.replace) scrollTo(0, 0);
}

/** Follows clicks on links whose path the page has. */
export function followLinks(isOurs: (path: string) => boolean): void {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest("a");
    if (!link || link.target || link.origin !== location.origin || !isOurs(link.pathname) || link.hasAttribute("download")) return;
    // A link to a part of the same page is the browser's.
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    go(link.href);
  });
}

/** Returns the parameters of a path that is as a pattern says: `match("/shows/:id", path)`. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const [wanted, given] = [pattern.split("/"), path.replace(/(.)\/$/, "$1").split("/")];
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const is = given[index] as string;
    if (!part.startsWith(":")) {
      if (part !== is) return null;
    } else {
      try {
        found[part.slice(1)] = decodeURIComponent(is);
      } catch {
        return null;
      }
    }
  }
  return found;
}
