// Idempotency keys: a change that was begun keeps its key until its outcome is known. So a repeat finds out what happened, and does nothing
// twice.

/** Where keys are kept: a `Map`, or what outlives the program. Names are the changes' own. */
export interface KeyStore {
  get(name: string): string | null | undefined | Promise<string | null | undefined>;
  set(name: string, text: string): unknown;
  delete(name: string): unknown;
}

interface Begun {
  key: string;
  /** The body, whose change is another change. */
  body: string;
  at: number;
}

/** How long the server keeps a key at most. */
const LIFE_MS = 24 * 3_600_000;

/** Whether what a store has of a change is too old to ask about. */
export function isOver(text: string | null | undefined): boolean {
  const begun = parse(text);
  return begun === null || Date.now() - begun.at >= LIFE_MS;
}

function parse(text: string | null | undefined): Begun | null {
  try {
    return text ? (JSON.parse(text) as Begun) : null;
  } catch {
    return null;
  }
}

/** The keys of the changes that a client has begun. */
export class Keys {
  private readonly looks = new Map<string, Promise<unknown>>();

  constructor(private readonly store: KeyStore) {}

  /** Returns the key of a change: the one that it was begun with, or a new one. Two that begin it at once have one key. */
  of(name: string, body: unknown): Promise<string> {
    const look = async () => {
      const text = JSON.stringify(body ?? null);
      const kept = await this.store.get(name);
      const begun = parse(kept);
      if (begun && begun.body === text && !isOver(kept)) return begun.key;
      // A page that didn't come by TLS has no `randomUUID`.
      const key = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
      await this.store.set(name, JSON.stringify({ key, body: text, at: Date.now() } satisfies Begun));
      return key;
    };
    return this.inTurn(name, look);
  }

  /** Forgets a change whose outcome is known, unless another was begun under its name. */
  settled(name: string, key: string): Promise<void> {
    return this.inTurn(name, async () => {
      if (parse(await this.store.get(name))?.key === key) await this.store.delete(name);
    });
  }

  /** Looks at a name once whoever came before has. */
  private inTurn<T>(name: string, look: () => Promise<T>): Promise<T> {
    const own = Promise.resolve(this.looks.get(name)).then(look, look);
    const end = () => {
      if (this.looks.get(name) === own) this.looks.delete(name);
    };
    this.looks.set(name, own);
    own.then(end, end);
    return own;
  }
}

/** The changes that this program may have begun and not heard of: the oldest goes first. */
const KEPT_MAX = 10_000;

/** Keeps keys while the program runs. */
export function inMemory(): KeyStore {
  const kept = new Map<string, string>();
  return {
    get: (name) => kept.get(name),
    set(name, text) {
      kept.delete(name);
      kept.set(name, text);
      if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value as string);
    },
    delete: (name) => kept.delete(name),
  };
}
