// A code that opens a phase or an allotment, or takes something off: kept in this browser until it is held with.
import { type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Refusal, refusalFor, type Schemas } from "../base/api";
import { announce } from "../base/live";
import { keep, kept } from "../base/store";
import { Button, Field } from "../base/ui";
import { asFan } from "./fan";
import { loadTickets, tickets } from "./later";
import { sentence } from "./refusal";
import { t } from "./texts";

/** What a code gives. */
export type Offer = Schemas["Offer"];

/** The refusals that are about the code, and are said beside it. */
const ABOUT_CODES = ["code_required", "code_invalid", "code_exhausted"];

/** The code of one sale. */
export class Code {
  readonly text: Signal<string>;
  /** Why it was refused, until it is another. */
  readonly refusal = signal<Refusal | null>(null);
  /** What it gives, once that was asked; of another text that isn't known. */
  readonly offer = signal<Offer | null>(null);
  /** The text that was asked about, so that one question isn't two guesses. */
  asked = "";
  isQuiet = false;
  /** The phase for which it was entered; null in the general sale, and undefined where a link brought it. */
  private phase: string | null | undefined;

  constructor(readonly scheduleId: string) {
    const own = kept<{ text: string; phase?: string | null }>(`code.${scheduleId}`);
    this.text = signal(own?.text ?? "");
    this.phase = own?.phase;
  }

  /** Takes another text. */
  set(text: string): void {
    this.text.value = text;
    [this.refusal.value, this.offer.value, this.asked] = [null, null, ""];
    keep(`code.${this.scheduleId}`, this.said ? { text: this.said, phase: this.phase } : null);
  }

  /** Takes the code of a link, whatever it is for. */
  bring(text: string): void {
    this.phase = undefined;
    this.set(text);
  }

  /** The sale is in a phase, before it, or (null) general. A code of another phase opens nothing here. */
  enter(phase: string | null): void {
    const isOther = this.phase !== undefined && this.phase !== phase;
    this.phase = phase;
    this.set(isOther ? "" : this.text.value);
  }

  /** What a request says. */
  get said(): string {
    return this.text.value.trim();
  }

  /** Asks what it gives, once somebody has signed in, and says it. */
  async look(currency: string): Promise<void> {
    await loadTickets();
    await tickets.value?.look(this, currency);
  }

  /** Says a refusal that is about the code, and tells whether it is. What is said quietly takes nobody from where they are. */
  refuse(refusal: Refusal, isQuiet = false): boolean {
    if (!isQuiet && !ABOUT_CODES.includes(refusal.code)) return false;
    [this.isQuiet, this.asked] = [isQuiet, ""];
    this.refusal.value = refusal;
    announce(sentence(refusal));
    return true;
  }

  /** Says that one is needed where none was entered, before anyone is asked in vain. */
  isMissing(isNeeded: boolean): boolean {
    return isNeeded && this.said === "" && this.refuse(refusalFor("code_required"));
  }
}

const codes = new Map<string, Code>();

/** The code of a sale. */
export function codeOf(scheduleId: string): Code {
  let code = codes.get(scheduleId);
  if (!code) codes.set(scheduleId, (code = new Code(scheduleId)));
  return code;
}

/** Where a code is entered: where one is needed, or came with the link; where a sale takes some, behind a question. */
export function CodeField(props: {
  code: Code;
  isNeeded: boolean;
  isTaken?: boolean | undefined;
  hint?: string;
  /** The currency of what it takes off, where it can be asked already what that is. */
  currency?: string;
}) {
  const { code, isNeeded } = props;
  const place = useRef<HTMLFormElement>(null);
  const refusal = code.refusal.value;
  // Who was refused for it stands at it.
  useEffect(() => {
    if (refusal && !code.isQuiet) place.current?.querySelector("input")?.focus();
  }, [refusal]);
  const isAsked = useSignal(isNeeded || code.text.value !== "");
  if (!isNeeded && !isAsked.value && !refusal)
    return props.isTaken ? (
      <button
        type="button"
        class="back"
        onClick={() => {
          isAsked.value = true;
          requestAnimationFrame(() => place.current?.querySelector("input")?.focus());
        }}
      >
        {t.value.haveCode}
      </button>
    ) : null;
  const offer = code.offer.value;
  const { currency } = props;
  const said = offer && currency ? tickets.value?.offerWords(offer, currency) : undefined;
  const apply = (event: Event) => {
    event.preventDefault();
    if (code.said && currency) asFan(() => void code.look(currency));
  };
  return (
    <form class="code" onSubmit={apply} onChange={() => currency && void code.look(currency)} ref={place} noValidate>
      <Field
        label={t.value.code}
        name="code"
        value={code.text.value}
        onInput={(event) => code.set(event.currentTarget.value)}
        hint={said ?? props.hint}
        wrong={refusal ? sentence(refusal) : undefined}
        required={isNeeded}
        autocomplete="off"
        autocapitalize="characters"
        spellcheck={false}
        maxLength={64}
      />
      {currency && (
        <Button type="submit" disabled={offer !== null}>
          {t.value.applyCode}
        </Button>
      )}
    </form>
  );
}
