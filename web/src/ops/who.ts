// Who has signed in: a token that was pasted. It is kept while the tab is open, and in no other tab.
import { computed, effect, signal } from "@preact/signals";
import { api, ask, isRefusal, type Refusal, refusalFor } from "../base/api";
import { session } from "../base/session";

/** The roles that see this page. */
export type Role = "admin" | "operator" | "auditor" | "box_office";

const ROLES: Record<Role, readonly Right[]> = {
  admin: ["watch", "run", "readAll", "follow", "administer", "sell"],
  operator: ["watch", "run"],
  auditor: ["watch", "readAll", "follow"],
  box_office: ["sell"],
};

/** What one may do here: see how sales go; run sales and rooms; read what is anyone's; read the feed of events; define codes; sell. */
export type Right = "watch" | "run" | "readAll" | "follow" | "administer" | "sell";

const NAME = "onsale.ops.token";

/** The role of who has signed in. */
export const role = signal<Role | null>(null);

export const may = (right: Right): boolean => role.value !== null && ROLES[role.value].includes(right);

/** Whether the server refused a token that it had taken before. */
export const isTokenOver = signal(false);

export const isIn = computed(() => session.value !== null && role.value !== null);

interface Claims {
  sub?: string;
  exp?: number;
  role?: string;
}

/** Reads a JWT's claims; null for another token, as the scripts' one. */
function claims(token: string): Claims | null {
  const part = token.split(".")[1];
  if (!part || token.split(".").length !== 3) return null;
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
  } catch {
    return null;
  }
}

/** A token without claims is for scripts, and never ends by itself. */
const NEVER = "9999-12-31T23:59:59.999Z";

/** Takes a token for the requests from now on, and returns its role; null if that sees nothing here. */
function carry(token: string): Role | null {
  const claimed = claims(token);
  const name = claimed ? (claimed.role ?? "user") : "admin";
  if (!(name in ROLES)) return null;
  const expiresAt = claimed?.exp ? new Date(claimed.exp * 1000).toISOString() : NEVER;
  session.value = { accessToken: token, expiresAt, userId: claimed?.sub ?? "", name: claimed?.sub ?? "" };
  return name as Role;
}

function keepToken(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, token);
  } catch {
    // A window that keeps nothing asks again after a reload.
  }
}

/** Asks whether the server takes the token of who sees no overview: of a reservation that isn't there it says just that. */
async function taken(): Promise<Refusal | null> {
  const params = { path: { reservationId: "none" } };
  const answer = await ask(api.GET("/api/v1/reservations/{reservationId}", { params }));
  return isRefusal(answer) && answer.code !== "not_found" ? answer : null;
}

/** Signs in with a token, if the server lets it see the operations. Returns why not. */
export async function signIn(pasted: string): Promise<Refusal | null> {
  const token = pasted.trim().replace(/^Bearer\s+/i, "");
  if (!/^[\x21-\x7e]{16,}$/.test(token)) return refusalFor("not_a_token");
  const wanted = carry(token);
  if (!wanted) return refusalFor("role_sees_nothing");
  isTokenOver.value = false;
  // Nothing is shown before the server has taken the token.
  const answer = await (ROLES[wanted].includes("watch") ? ask(api.GET("/api/v1/admin/overview")) : taken());
  if (isRefusal(answer)) {
    signOut();
    if (answer.code === "unauthenticated") return refusalFor("token_unknown");
    return answer.code === "forbidden" ? refusalFor("role_sees_nothing") : answer;
  }
  role.value = wanted;
  keepToken(token);
  return null;
}

export function signOut(): void {
  keepToken(null);
  [role.value, session.value] = [null, null];
}

/** Signs in with the token that this tab has. */
export function comeBack(): void {
  try {
    const token = sessionStorage.getItem(NAME);
    if (token) role.value = carry(token);
    if (session.value && Date.parse(session.value.expiresAt) <= Date.now()) {
      signOut();
      isTokenOver.value = true;
    }
  } catch {
    // Nothing was kept.
  }
  // A refusal of the token anywhere ends the session.
  effect(() => {
    if (session.value === null && role.peek() !== null) {
      isTokenOver.value = true;
      signOut();
    }
  });
}
