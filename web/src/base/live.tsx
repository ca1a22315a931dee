// The one polite live region: what a reader who doesn't see the page has to hear, and no more.
import { signal } from "@preact/signals";

const said = signal("");
let quiet: ReturnType<typeof setTimeout> | undefined;

/** Says a sentence. */
export function announce(sentence: string): void {
  clearTimeout(quiet);
  // The same sentence twice is heard twice only if something changed between.
  said.value = "";
  setTimeout(() => (said.value = sentence), 60);
  quiet = setTimeout(() => (said.value = ""), 12_000);
}

export function LiveRegion() {
  return (
    <p class="unseen" role="status" aria-live="polite" id="live">
      {said.value}
    </p>
  );
}
